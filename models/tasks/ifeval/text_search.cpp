#include "models/tasks/ifeval/text_search.h"

#include <array>

#include "models/tokenizer/utf8.h"

namespace orthant::models {
namespace {

// \p{Ll} and \p{Lu} lack the letters that have case by Other_Lowercase and Other_Uppercase.
constexpr const char* kLowercase =
    R"([\p{Ll}\x{aa}\x{ba}\x{2b0}-\x{2b8}\x{2c0}\x{2c1}\x{2e0}-\x{2e4}\x{345}\x{37a})"
    R"(\x{1d2c}-\x{1d6a}\x{1d78}\x{1d9b}-\x{1dbf}\x{2071}\x{207f}\x{2090}-\x{209c}\x{2170}-\x{217f})"
    R"(\x{24d0}-\x{24e9}\x{2c7c}\x{2c7d}\x{a69c}\x{a69d}\x{a770}\x{a7f8}\x{a7f9}\x{ab5c}-\x{ab5f}])";
constexpr const char* kUppercase =
    R"([\p{Lu}\x{2160}-\x{216f}\x{24b6}-\x{24cf}\x{1f130}-\x{1f149}\x{1f150}-\x{1f169}\x{1f170}-\x{1f189}])";

// Capitals first..last, every `step`-th of them; the small letter is `offset` further.
struct CapitalRange {
  uint32_t first;
  uint32_t last;
  int32_t offset;
  uint32_t step = 1;
};

constexpr auto kCapitals = std::to_array<CapitalRange>({
    {0x41, 0x5A, 32},                                                        // Latin
    {0xC0, 0xD6, 32},        {0xD8, 0xDE, 32},        {0x100, 0x12E, 1, 2},  // Latin Extended-A
    {0x132, 0x136, 1, 2},    {0x139, 0x147, 1, 2},    {0x14A, 0x176, 1, 2},
    {0x178, 0x178, -121},    {0x179, 0x17D, 1, 2},    {0x181, 0x181, 210},  // Latin Extended-B
    {0x182, 0x184, 1, 2},    {0x186, 0x186, 206},     {0x187, 0x187, 1},
    {0x189, 0x18A, 205},     {0x18B, 0x18B, 1},       {0x18E, 0x18E, 79},
    {0x18F, 0x18F, 202},     {0x190, 0x190, 203},     {0x191, 0x191, 1},
    {0x193, 0x193, 205},     {0x198, 0x198, 1},       {0x19D, 0x19D, 213},
    {0x1A0, 0x1A4, 1, 2},    {0x1AF, 0x1AF, 1},       {0x1B3, 0x1B5, 1, 2},
    {0x1C4, 0x1CA, 2, 3},  // digraphs
    {0x1C5, 0x1CB, 1, 3},    {0x1CD, 0x1DB, 1, 2},    {0x1DE, 0x1EE, 1, 2},
    {0x1F1, 0x1F1, 2},       {0x1F2, 0x1F4, 1, 2},    {0x1F8, 0x21E, 1, 2},
    {0x222, 0x232, 1, 2},    {0x246, 0x24E, 1, 2},    {0x386, 0x386, 38},  // Greek
    {0x388, 0x38A, 37},      {0x38C, 0x38C, 64},      {0x38E, 0x38F, 63},
    {0x391, 0x3A1, 32},      {0x3A3, 0x3AB, 32},      {0x3D8, 0x3EE, 1, 2},  // Coptic
    {0x400, 0x40F, 80},                                                      // Cyrillic
    {0x410, 0x42F, 32},      {0x460, 0x480, 1, 2},    {0x48A, 0x4BE, 1, 2},
    {0x4C0, 0x4C0, 15},      {0x4C1, 0x4CD, 1, 2},    {0x4D0, 0x52E, 1, 2},
    {0x531, 0x556, 48},                                                      // Armenian
    {0x1E00, 0x1E94, 1, 2},                                                  // Latin Extended Additional
    {0x1E9E, 0x1E9E, -7615}, {0x1EA0, 0x1EFE, 1, 2},  {0x1F08, 0x1F0F, -8},  // Greek Extended
    {0x1F18, 0x1F1D, -8},    {0x1F28, 0x1F2F, -8},    {0x1F38, 0x1F3F, -8},
    {0x1F48, 0x1F4D, -8},    {0x1F59, 0x1F5F, -8, 2}, {0x1F68, 0x1F6F, -8},
    {0x2126, 0x2126, -7517},                                                 // ohm, kelvin, angstrom
    {0x212A, 0x212A, -8383}, {0x212B, 0x212B, -8262}, {0x2160, 0x216F, 16},  // Roman numerals
    {0x24B6, 0x24CF, 26},                                                    // circled
    {0xA640, 0xA66C, 1, 2},                                                  // Cyrillic Extended-B
    {0xA680, 0xA69A, 1, 2},  {0xFF21, 0xFF3A, 32},                           // full width
});

constexpr uint32_t kCapitalIWithDot = 0x130;

uint32_t lower_of(uint32_t codepoint) {
  for (const CapitalRange& range : kCapitals) {
    if (codepoint < range.first || codepoint > range.last) continue;
    if ((codepoint - range.first) % range.step != 0) continue;
    return static_cast<uint32_t>(static_cast<int32_t>(codepoint) + range.offset);
  }
  return codepoint;
}

}  // namespace

std::string_view strip(std::string_view text, char of) {
  while (!text.empty() && text.front() == of) text.remove_prefix(1);
  while (!text.empty() && text.back() == of) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = next_character(text);
    if (step.codepoint == kCapitalIWithDot) {
      result += "i\xCC\x87";  // Python's, with the dot as a combining mark
    } else {
      append_utf8(result, lower_of(step.codepoint));
    }
    text.remove_prefix(step.bytes);
  }
  return result;
}

bool is_upper(std::string_view text) {
  static const Pattern upper(kUppercase);
  static const Pattern others(std::string(kLowercase) + R"(|\p{Lt})");
  return contains(upper, text) && !contains(others, text);
}

bool is_lower(std::string_view text) {
  static const Pattern lower_letter(kLowercase);
  static const Pattern others(std::string(kUppercase) + R"(|\p{Lt})");
  return contains(lower_letter, text) && !contains(others, text);
}

std::vector<std::string_view> find_all(const Pattern& pattern, std::string_view text) {
  std::vector<std::string_view> matches;
  pattern.for_each_match(
      text, [&](size_t begin, size_t end) { matches.push_back(text.substr(begin, end - begin)); });
  return matches;
}

bool contains(const Pattern& pattern, std::string_view text) {
  return !find_all(pattern, text).empty();
}

std::vector<std::string_view> split(const Pattern& pattern, std::string_view text) {
  std::vector<std::string_view> parts;
  size_t from = 0;
  pattern.for_each_match(text, [&](size_t begin, size_t end) {
    parts.push_back(text.substr(from, begin - from));
    from = end;
  });
  parts.push_back(text.substr(from));
  return parts;
}

std::vector<std::string_view> split(std::string_view separator, std::string_view text) {
  std::vector<std::string_view> parts;
  size_t from = 0;
  for (size_t at = text.find(separator); at != std::string_view::npos; at = text.find(separator, from)) {
    parts.push_back(text.substr(from, at - from));
    from = at + separator.size();
  }
  parts.push_back(text.substr(from));
  return parts;
}

}  // namespace orthant::models
