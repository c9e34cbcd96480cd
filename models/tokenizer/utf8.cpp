#include "models/tokenizer/utf8.h"

#include <algorithm>
#include <cstring>

#include "models/tokenizer/tokenizer.h"

namespace orthant::models {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Lead {
  int continuation_bytes = 0;  // 0: the byte cannot begin a longer sequence
  uint8_t second_low = 0x80;   // the range of the second byte excludes overlong forms and surrogates
  uint8_t second_high = 0xBF;
};

Lead lead_of(uint8_t byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {1};
  if (byte == 0xE0) return {2, 0xA0, 0xBF};
  if (byte == 0xED) return {2, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {2};
  if (byte == 0xF0) return {3, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {3};
  if (byte == 0xF4) return {3, 0x80, 0x8F};
  return {};
}

}  // namespace

Utf8Step next_character(std::string_view text) {
  const auto first = static_cast<uint8_t>(text.front());
  if (first < 0x80) return {first, 1, true};
  const Lead lead = lead_of(first);
  if (lead.continuation_bytes == 0) return {0, 1, false};
  uint32_t codepoint = first & (0x3F >> lead.continuation_bytes);
  for (int i = 1; i <= lead.continuation_bytes; ++i) {
    const size_t at = static_cast<size_t>(i);
    const uint8_t low = i == 1 ? lead.second_low : 0x80;
    const uint8_t high = i == 1 ? lead.second_high : 0xBF;
    if (at >= text.size()) return {0, at, false};
    const auto byte = static_cast<uint8_t>(text[at]);
    if (byte < low || byte > high) return {0, at, false};
    codepoint = codepoint << 6 | (byte & 0x3F);
  }
  return {codepoint, static_cast<size_t>(lead.continuation_bytes) + 1, true};
}

size_t first_ill_formed(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    uint64_t word = 0;
    if (at + sizeof(word) <= text.size()) {
      std::memcpy(&word, text.data() + at, sizeof(word));
      if ((word & 0x8080808080808080u) == 0) {  // eight ASCII characters
        at += sizeof(word);
        continue;
      }
    }
    const Utf8Step step = next_character(text.substr(at));
    if (!step.well_formed) return at;
    at += step.bytes;
  }
  return std::string_view::npos;
}

bool is_white_space(uint32_t codepoint) {
  if (codepoint < 0x80) return codepoint == 0x20 || (codepoint >= 0x09 && codepoint <= 0x0D);
  if (codepoint >= 0x2000 && codepoint <= 0x200A) return true;
  for (const uint32_t space : {0x85u, 0xA0u, 0x1680u, 0x2028u, 0x2029u, 0x202Fu, 0x205Fu, 0x3000u}) {
    if (codepoint == space) return true;
  }
  return false;
}

void append_utf8(std::string& text, uint32_t codepoint) {
  const auto put = [&text](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (codepoint < 0x80) return put(codepoint);
  if (codepoint < 0x800) {
    put(0xC0 | codepoint >> 6);
  } else if (codepoint < 0x10000) {
    put(0xE0 | codepoint >> 12);
    put(0x80 | (codepoint >> 6 & 0x3F));
  } else {
    put(0xF0 | codepoint >> 18);
    put(0x80 | (codepoint >> 12 & 0x3F));
    put(0x80 | (codepoint >> 6 & 0x3F));
  }
  put(0x80 | (codepoint & 0x3F));
}

std::string replace_invalid_utf8(std::string_view bytes, int64_t& replacements) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const size_t sound = std::min(first_ill_formed(bytes), bytes.size());
    text += bytes.substr(0, sound);
    bytes.remove_prefix(sound);
    if (bytes.empty()) break;
    text += kReplacement;
    ++replacements;
    bytes.remove_prefix(next_character(bytes).bytes);
  }
  return text;
}

}  // namespace orthant::models
