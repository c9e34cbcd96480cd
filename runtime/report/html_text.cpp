#include "runtime/report/html_text.h"

#include <cstdint>

namespace orthant {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Bytes of the UTF-8 character at the start of `text`; 0 where there is no character that XML allows.
size_t character_bytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return lead >= 0x20 || lead == '\n' || lead == '\t' || lead == '\r' ? 1 : 0;
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return 0;
  uint32_t code = lead & (0xFFU >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3FU);
  }
  const bool is_overlong = code < (bytes == 3 ? 0x800U : bytes == 4 ? 0x10000U : 0x80U);
  const bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
  const bool is_noncharacter = code == 0xFFFE || code == 0xFFFF || code > 0x10FFFF;
  return is_overlong || is_surrogate || is_noncharacter ? 0 : bytes;
}

bool continues_character(char byte) {
  return (static_cast<uint8_t>(byte) & 0xC0) == 0x80;
}

}  // namespace

std::string escape(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  while (!text.empty()) {
    const size_t bytes = character_bytes(text);
    switch (bytes == 1 ? text[0] : '\0') {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += bytes == 0 ? kReplacement : text.substr(0, bytes);
    }
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  return safe;
}

size_t character_count(std::string_view text) {
  size_t count = 0;
  for (const char byte : text) count += continues_character(byte) ? 0 : 1;
  return count;
}

std::string shortened(std::string_view text, size_t length) {
  const size_t characters = character_count(text);
  if (characters <= length || length < 3) return std::string(text);
  const size_t head = length / 2, tail = length - head - 1;
  std::string kept;
  size_t index = 0;
  for (size_t at = 0; at < text.size(); ++index) {
    size_t end = at + 1;
    while (end < text.size() && continues_character(text[end])) ++end;
    if (index == head) kept += "…";
    if (index < head || index >= characters - tail) kept += text.substr(at, end - at);
    at = end;
  }
  return kept;
}

}  // namespace orthant
