// A tokenizer of eleven tokens for models without a file: one token a letter from 'a' to 'h'; other bytes
// have none.
#pragma once

#include <string>
#include <vector>

#include "models/tokenizer/tokenizer.h"
#include "runtime/core/error.h"

namespace orthant::testing {

class LetterTokenizer : public models::Tokenizer {
 public:
  explicit LetterTokenizer(bool adds_bos = false, bool has_specials = true)
      : adds_bos_(adds_bos), has_specials_(has_specials) {
    if (has_specials) ends_ = {2};
  }
  [[nodiscard]] std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    for (const char letter : text) {
      if (letter >= 'a' && letter <= 'h') ids.push_back(letter - 'a' + 3);
    }
    return ids;
  }
  [[nodiscard]] std::string decode(std::span<const int32_t> ids) const override {
    std::string text;
    for (const int32_t id : ids) text += id < 3 ? '.' : static_cast<char>('a' + id - 3);
    return text;
  }
  [[nodiscard]] int64_t vocabulary() const override { return 11; }
  [[nodiscard]] std::optional<int32_t> bos() const override {
    return has_specials_ ? std::optional<int32_t>(1) : std::nullopt;
  }
  [[nodiscard]] std::optional<int32_t> eos() const override {
    return has_specials_ ? std::optional<int32_t>(2) : std::nullopt;
  }
  [[nodiscard]] const std::vector<int32_t>& ends() const override { return ends_; }
  [[nodiscard]] bool is_special(int32_t id) const override { return id < 3; }
  [[nodiscard]] bool adds_bos() const override { return adds_bos_; }
  [[nodiscard]] std::string apply_chat_template(std::span<const models::ChatMessage>) const override {
    throw Error(ExitCode::kConfig, "no chat template");
  }

 private:
  bool adds_bos_;
  bool has_specials_;
  std::vector<int32_t> ends_;
};

}  // namespace orthant::testing
