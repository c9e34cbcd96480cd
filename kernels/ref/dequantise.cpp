#include "kernels/ref/dequantise.h"

#include <cmath>

namespace orthant::kernels::ref {
namespace {

// Half to double by the definition of IEEE 754 binary16.
double half(const uint8_t* at) {
  const int bits = at[0] | at[1] << 8;
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  return sign * (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25));
}

// Rounds each operation to f32; the doubles inside are wide enough for the rounding to be innocuous.
double rounded(double value) {
  return static_cast<float>(value);
}

int nibble(const uint8_t* bytes, int block_of_32, int i) {
  const int byte = bytes[block_of_32 * 16 + i % 16];
  return i < 16 ? byte % 16 : byte / 16;
}

int bit(const uint8_t* bytes, int i) {
  return bytes[i / 8] >> (i % 8) & 1;
}

// Scale (which = 0) or minimum (1) of a group of 32 in Q4_K and Q5_K: bits gathered one by one.
int six_bits(const uint8_t* s, int group, int which) {
  if (group < 4) return s[group + 4 * which] % 64;
  const int low = which == 0 ? s[group + 4] % 16 : s[group + 4] / 16;
  const int top = s[group - 4 + 4 * which] / 64;
  return top * 16 + low;
}

}  // namespace

double block_value(BlockType type, const uint8_t* b, int i) {
  const int group = i / 32;
  switch (type) {
    case BlockType::kQ4_0:
      return rounded(half(b) * (nibble(b + 2, 0, i) - 8));
    case BlockType::kQ4_1:
      return rounded(rounded(half(b) * nibble(b + 4, 0, i)) + half(b + 2));
    case BlockType::kQ5_0:
      return rounded(half(b) * (nibble(b + 6, 0, i) + 16 * bit(b + 2, i) - 16));
    case BlockType::kQ5_1:
      return rounded(rounded(half(b) * (nibble(b + 8, 0, i) + 16 * bit(b + 4, i))) + half(b + 2));
    case BlockType::kQ8_0:
      return rounded(half(b) * static_cast<int8_t>(b[2 + i]));
    case BlockType::kQ4_K:
    case BlockType::kQ5_K: {
      const bool five = type == BlockType::kQ5_K;
      const uint8_t* packed = b + (five ? 48 : 16);
      const int byte = packed[group / 2 * 32 + i % 32];
      int q = group % 2 == 0 ? byte % 16 : byte / 16;
      if (five) q += 16 * (b[16 + i % 32] >> group & 1);
      const double scale = rounded(half(b) * six_bits(b + 4, group, 0));
      const double minimum = rounded(half(b + 2) * six_bits(b + 4, group, 1));
      return rounded(rounded(scale * q) - minimum);
    }
    case BlockType::kQ6_K: {
      const int within = i % 128;
      const int low = b[i / 128 * 64 + within % 64];
      const int high = b[128 + i / 128 * 32 + within % 32] >> (within / 32 * 2) & 3;
      const int q = (within < 64 ? low % 16 : low / 16) + 16 * high - 32;
      return rounded(rounded(half(b + 208) * static_cast<int8_t>(b[192 + i / 16])) * q);
    }
    default:
      return NAN;
  }
}

}  // namespace orthant::kernels::ref
