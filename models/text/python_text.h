// Strings as Python handles them, which the requests and checks of lm-evaluation-harness depend on. Its white
// space is that of Unicode and U+001C to U+001F. All texts are well-formed UTF-8. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace orthant::models {

// len(text): code points.
[[nodiscard]] int64_t code_points(std::string_view text);

[[nodiscard]] bool is_python_space(uint32_t codepoint);
[[nodiscard]] bool is_blank(std::string_view text);  // nothing but white space

// text.strip(): without white space at both ends.
[[nodiscard]] std::string_view python_strip(std::string_view text);
// text.lstrip().
[[nodiscard]] std::string_view python_left_strip(std::string_view text);

// len(re.split(r"\s+", text)): one more than there are runs of white space, those at the ends too.
[[nodiscard]] int64_t white_space_pieces(std::string_view text);

// text.replace(from, into): left to right, in one pass. `from` is not empty.
[[nodiscard]] std::string replace_all(std::string_view text, std::string_view from, std::string_view into);

// text.capitalize(): the first character in upper, all others in lower case, by models/text/letter_case.h.
[[nodiscard]] std::string python_capitalize(std::string_view text);

}  // namespace orthant::models
