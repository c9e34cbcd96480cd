#include "models/text/python_text.h"

#include <algorithm>

#include "models/text/letter_case.h"
#include "models/tokenizer/utf8.h"

namespace orthant::models {
namespace {

bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

// Where the last character of a text that is not empty begins.
size_t last_character(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && is_continuation(text[at])) --at;
  return at;
}

}  // namespace

bool is_python_space(uint32_t codepoint) {
  return is_white_space(codepoint) || (codepoint >= 0x1C && codepoint <= 0x1F);
}

bool is_blank(std::string_view text) {
  return python_left_strip(text).empty();
}

int64_t code_points(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char byte) { return !is_continuation(byte); });
}

std::string_view python_left_strip(std::string_view text) {
  while (!text.empty()) {
    const Utf8Step first = next_character(text);
    if (!is_python_space(first.codepoint)) break;
    text.remove_prefix(first.bytes);
  }
  return text;
}

std::string_view python_strip(std::string_view text) {
  text = python_left_strip(text);
  while (!text.empty()) {
    const size_t last = last_character(text);
    if (!is_python_space(next_character(text.substr(last)).codepoint)) break;
    text = text.substr(0, last);
  }
  return text;
}

int64_t white_space_pieces(std::string_view text) {
  int64_t pieces = 1;
  bool in_space = false;
  while (!text.empty()) {
    const Utf8Step step = next_character(text);
    const bool is_space = is_python_space(step.codepoint);
    pieces += is_space && !in_space ? 1 : 0;
    in_space = is_space;
    text.remove_prefix(step.bytes);
  }
  return pieces;
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view into) {
  std::string replaced;
  size_t begin = 0;
  for (size_t at = text.find(from); at != std::string_view::npos; at = text.find(from, begin)) {
    replaced.append(text.substr(begin, at - begin)).append(into);
    begin = at + from.size();
  }
  return replaced.append(text.substr(begin));
}

std::string python_capitalize(std::string_view text) {
  if (text.empty()) return "";
  const size_t first = next_character(text).bytes;
  return upper_case(text.substr(0, first)) + lower_case(text.substr(first));
}

}  // namespace orthant::models
