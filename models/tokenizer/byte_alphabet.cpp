#include "models/tokenizer/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "models/tokenizer/utf8.h"

namespace orthant::models {
namespace {

constexpr int kFirstMoved = 0x100;
constexpr int kCodepoints = kFirstMoved + 68;

constexpr bool stands_for_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr std::array<int16_t, kCodepoints> make_table() {
  std::array<int16_t, kCodepoints> byte_of{};
  for (auto& entry : byte_of) entry = -1;
  int moved = kFirstMoved;
  for (int byte = 0; byte < 256; ++byte) {
    byte_of[stands_for_itself(byte) ? byte : moved++] = static_cast<int16_t>(byte);
  }
  return byte_of;
}

constexpr auto kByteOf = make_table();

}  // namespace

std::string bytes_from_alphabet(std::string_view token) {
  std::string bytes;
  for (std::string_view rest = token; !rest.empty();) {
    const Utf8Step step = next_character(rest);
    const bool known = step.well_formed && step.codepoint < kCodepoints && kByteOf[step.codepoint] >= 0;
    if (!known) return std::string(token);
    bytes.push_back(static_cast<char>(kByteOf[step.codepoint]));
    rest.remove_prefix(step.bytes);
  }
  return bytes;
}

}  // namespace orthant::models
