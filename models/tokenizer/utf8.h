// UTF-8 as the tokenizers need it. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace orthant::models {

struct Utf8Step {
  uint32_t codepoint = 0;
  size_t bytes = 0;  // of the character, or of the maximal ill-formed subpart
  bool well_formed = false;
};

// The character, or the maximal ill-formed subpart, at the front of a text that is not empty.
[[nodiscard]] Utf8Step next_character(std::string_view text);

// Where the first ill-formed sequence begins; npos: nowhere.
[[nodiscard]] size_t first_ill_formed(std::string_view text);

// The White_Space property of Unicode.
[[nodiscard]] bool is_white_space(uint32_t codepoint);

// `codepoint` is a Unicode scalar value.
void append_utf8(std::string& text, uint32_t codepoint);

}  // namespace orthant::models
