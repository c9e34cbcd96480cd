// The values of one block of stored weights, the same statements for the CPU and for CUDA kernels. Bytes need
// no alignment. Thread-safe for distinct outputs.
#pragma once

#include <stdint.h>
#include <string.h>

#include "kernels/scalar.h"
#include "runtime/core/half.h"

namespace orthant::kernels {

// The half-precision number at an address.
ORTHANT_HOST_DEVICE inline float half_at(const uint8_t* at) {
  return f32_of_half(static_cast<uint16_t>(at[0] | at[1] << 8));
}

ORTHANT_HOST_DEVICE inline void decode_f32(const uint8_t* block, float* into) {
  memcpy(into, block, sizeof(float));
}

ORTHANT_HOST_DEVICE inline void decode_f16(const uint8_t* block, float* into) {
  *into = half_at(block);
}

ORTHANT_HOST_DEVICE inline void decode_bf16(const uint8_t* block, float* into) {
  *into = float_of(static_cast<uint32_t>(block[0]) << 16 | static_cast<uint32_t>(block[1]) << 24);
}

// Byte j holds value j in its low and value j + 16 in its high four bits.
ORTHANT_HOST_DEVICE inline void decode_q4_0(const uint8_t* block, float* into) {
  const float scale = half_at(block);
  const uint8_t* packed = block + 2;
  for (int j = 0; j < 16; ++j) {
    into[j] = scale * static_cast<float>((packed[j] & 15) - 8);
    into[j + 16] = scale * static_cast<float>((packed[j] >> 4) - 8);
  }
}

ORTHANT_HOST_DEVICE inline void decode_q4_1(const uint8_t* block, float* into) {
  const float scale = half_at(block);
  const float minimum = half_at(block + 2);
  const uint8_t* packed = block + 4;
  for (int j = 0; j < 16; ++j) {
    into[j] = scale * static_cast<float>(packed[j] & 15) + minimum;
    into[j + 16] = scale * static_cast<float>(packed[j] >> 4) + minimum;
  }
}

// The fifth bit of value j is bit j of a little-endian word.
ORTHANT_HOST_DEVICE inline int with_fifth_bit(int low, uint32_t high_bits, int j) {
  return low | (static_cast<int>(high_bits >> j & 1u) << 4);
}

ORTHANT_HOST_DEVICE inline void decode_q5_0(const uint8_t* block, float* into) {
  const float scale = half_at(block);
  uint32_t high_bits;
  memcpy(&high_bits, block + 2, sizeof(high_bits));
  const uint8_t* packed = block + 6;
  for (int j = 0; j < 16; ++j) {
    into[j] = scale * static_cast<float>(with_fifth_bit(packed[j] & 15, high_bits, j) - 16);
    into[j + 16] = scale * static_cast<float>(with_fifth_bit(packed[j] >> 4, high_bits, j + 16) - 16);
  }
}

ORTHANT_HOST_DEVICE inline void decode_q5_1(const uint8_t* block, float* into) {
  const float scale = half_at(block);
  const float minimum = half_at(block + 2);
  uint32_t high_bits;
  memcpy(&high_bits, block + 4, sizeof(high_bits));
  const uint8_t* packed = block + 8;
  for (int j = 0; j < 16; ++j) {
    into[j] = scale * static_cast<float>(with_fifth_bit(packed[j] & 15, high_bits, j)) + minimum;
    into[j + 16] = scale * static_cast<float>(with_fifth_bit(packed[j] >> 4, high_bits, j + 16)) + minimum;
  }
}

ORTHANT_HOST_DEVICE inline void decode_q8_0(const uint8_t* block, float* into) {
  const float scale = half_at(block);
  const auto* values = reinterpret_cast<const int8_t*>(block + 2);
  for (int j = 0; j < 32; ++j) into[j] = scale * static_cast<float>(values[j]);
}

struct ScaleMinimum {
  int scale;
  int minimum;
};

// Eight pairs of 6-bit numbers in 12 bytes: the last four pairs borrow the top two bits of the first eight
// bytes.
ORTHANT_HOST_DEVICE inline ScaleMinimum scale_minimum(const uint8_t* packed, int group) {
  if (group < 4) return {packed[group] & 63, packed[group + 4] & 63};
  return {(packed[group + 4] & 15) | (packed[group - 4] >> 6 << 4),
          (packed[group + 4] >> 4) | (packed[group] >> 6 << 4)};
}

// 256 values in eight groups of 32; groups 2c and 2c + 1 are the low and high halves of bytes [32c, 32c +
// 32).
ORTHANT_HOST_DEVICE inline void decode_q4_k(const uint8_t* block, float* into) {
  const float scale = half_at(block);
  const float minimum = half_at(block + 2);
  const uint8_t* packed = block + 16;
  for (int group = 0; group < 8; ++group) {
    const ScaleMinimum six_bits = scale_minimum(block + 4, group);
    const float group_scale = scale * static_cast<float>(six_bits.scale);
    const float group_minimum = minimum * static_cast<float>(six_bits.minimum);
    const uint8_t* source = packed + group / 2 * 32;
    const int shift = group % 2 * 4;
    for (int j = 0; j < 32; ++j) {
      into[group * 32 + j] = group_scale * static_cast<float>(source[j] >> shift & 15) - group_minimum;
    }
  }
}

// As Q4_K, with the fifth bit of group g in bit g of 32 bytes that all groups share.
ORTHANT_HOST_DEVICE inline void decode_q5_k(const uint8_t* block, float* into) {
  const float scale = half_at(block);
  const float minimum = half_at(block + 2);
  const uint8_t* fifth = block + 16;
  const uint8_t* packed = block + 48;
  for (int group = 0; group < 8; ++group) {
    const ScaleMinimum six_bits = scale_minimum(block + 4, group);
    const float group_scale = scale * static_cast<float>(six_bits.scale);
    const float group_minimum = minimum * static_cast<float>(six_bits.minimum);
    const uint8_t* source = packed + group / 2 * 32;
    const int shift = group % 2 * 4;
    for (int j = 0; j < 32; ++j) {
      const int value = (source[j] >> shift & 15) | (fifth[j] >> group & 1) << 4;
      into[group * 32 + j] = group_scale * static_cast<float>(value) - group_minimum;
    }
  }
}

// Two halves of 128 values, each in four runs of 32: run r takes its low four bits from bytes [32 (r % 2),
// +32), high nibble for r >= 2, and its top two bits from bits 2r of 32 bytes. Sixteen values share an int8
// scale.
ORTHANT_HOST_DEVICE inline void decode_q6_k(const uint8_t* block, float* into) {
  const float scale = half_at(block + 208);
  for (int half = 0; half < 2; ++half) {
    const uint8_t* low = block + half * 64;
    const uint8_t* high = block + 128 + half * 32;
    const auto* scales = reinterpret_cast<const int8_t*>(block + 192) + half * 8;
    for (int run = 0; run < 4; ++run) {
      for (int j = 0; j < 32; ++j) {
        const int bits = (low[run % 2 * 32 + j] >> (run / 2 * 4) & 15) | (high[j] >> (run * 2) & 3) << 4;
        const float group_scale = scale * static_cast<float>(scales[run * 2 + j / 16]);
        into[half * 128 + run * 32 + j] = group_scale * static_cast<float>(bits - 32);
      }
    }
  }
}

}  // namespace orthant::kernels
