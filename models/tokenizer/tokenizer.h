// Text to token ids and back. Immutable after construction; thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orthant::models {

struct ChatMessage {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  // Special tokens inside the text are parsed. No BOS is added. Invalid UTF-8 must have been replaced before.
  [[nodiscard]] virtual std::vector<int32_t> encode(std::string_view text) const = 0;
  // Special tokens are kept, no clean-up.
  [[nodiscard]] virtual std::string decode(std::span<const int32_t> ids) const = 0;
  [[nodiscard]] virtual int64_t vocabulary() const = 0;
  [[nodiscard]] virtual std::optional<int32_t> bos() const = 0;
  [[nodiscard]] virtual std::optional<int32_t> eos() const = 0;
  // Each ends what the model says: eos() first, then the others that the model's files name for generation.
  [[nodiscard]] virtual const std::vector<int32_t>& ends() const = 0;
  // Whether the token belongs to the protocol rather than to a text.
  [[nodiscard]] virtual bool is_special(int32_t id) const = 0;
  // Whether the model's metadata asks for a BOS in front of every text.
  [[nodiscard]] virtual bool adds_bos() const = 0;
  // The conversation as the model's chat template writes it, ending where the assistant begins to speak.
  // Throws Error(kConfig) when the template is absent or not one of the known forms.
  [[nodiscard]] virtual std::string apply_chat_template(std::span<const ChatMessage> messages) const = 0;
};

// The tokenizer that belongs to the model at `model_path`; `tokenizer_path` overrides it (empty: the model's
// own).
[[nodiscard]] std::unique_ptr<Tokenizer> open_tokenizer(const std::string& model_path,
                                                        const std::string& tokenizer_path = "");

// decode() of the ids that are not special.
[[nodiscard]] std::string plain_text(const Tokenizer& tokenizer, std::span<const int32_t> ids);

// Replaces every ill-formed UTF-8 sequence by U+FFFD and adds their number to `replacements`.
[[nodiscard]] std::string replace_invalid_utf8(std::string_view bytes, int64_t& replacements);

}  // namespace orthant::models
