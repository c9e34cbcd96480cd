// What the checks of IFEval use of Python's strings beside models/text/python_text.h: case and the usual
// searches.
//
// Upper and lower case are
// known of every script. lower() maps the letters of Latin (without phonetic and medievalist ones), Greek,
// Cyrillic, Armenian, the full-width and circled forms and Roman numerals; capitals of other scripts stay as
// they are, and a final capital sigma becomes the ordinary small one. All texts are well-formed UTF-8.
// Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/text/python_text.h"
#include "models/tokenizer/pattern.h"

namespace orthant::models {

// Inside [] of a Pattern.
inline constexpr std::string_view kPythonSpace = R"(\s\x{1c}-\x{1f})";
inline constexpr std::string_view kPythonWord = R"(\p{L}\p{N}_)";

// Without any of the character at both ends.
[[nodiscard]] std::string_view strip(std::string_view text, char of);

[[nodiscard]] std::string lower(std::string_view text);
// Some letter has case, and none that has is of the other one. Title case is of neither.
[[nodiscard]] bool is_upper(std::string_view text);
[[nodiscard]] bool is_lower(std::string_view text);

// The matches, left to right, that do not overlap; those that are empty are passed over.
[[nodiscard]] std::vector<std::string_view> find_all(const Pattern& pattern, std::string_view text);
[[nodiscard]] bool contains(const Pattern& pattern, std::string_view text);
// What is between the matches: one part more than there are matches.
[[nodiscard]] std::vector<std::string_view> split(const Pattern& pattern, std::string_view text);
[[nodiscard]] std::vector<std::string_view> split(std::string_view separator, std::string_view text);

}  // namespace orthant::models
