// Tokens that are found in the raw text before anything else: special tokens and those a user added.
//
// At each position the longest one wins. Immutable after set-up; thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orthant::models {

struct AddedToken {
  std::string text;
  int32_t id = 0;
  bool strip_left = false;   // takes the white space before it
  bool strip_right = false;  // and after it
};

struct AddedTokenMatch {
  size_t begin = 0;
  size_t end = 0;
  int32_t id = 0;
};

class AddedTokens {
 public:
  // Tokens without text are left out.
  explicit AddedTokens(std::vector<AddedToken> tokens = {});
  // The first match at or after `from`.
  [[nodiscard]] std::optional<AddedTokenMatch> next(std::string_view text, size_t from) const;
  // The id of a text that is exactly an added token.
  [[nodiscard]] std::optional<int32_t> id_of(std::string_view text) const;

 private:
  std::vector<AddedToken> tokens_;  // by descending length
  std::array<std::vector<int32_t>, 256> by_first_byte_;
};

}  // namespace orthant::models
