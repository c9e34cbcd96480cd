// Upper and lower case of letters by the Unicode tables of PCRE2: one letter for one letter, so what Unicode
// writes with two (the upper case of U+00DF) or by its place in the word (a final sigma) stays as it is or
// gets its common form. Thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace orthant::models {

// `text` is well-formed UTF-8.
[[nodiscard]] std::string lower_case(std::string_view text);
[[nodiscard]] std::string upper_case(std::string_view text);

}  // namespace orthant::models
