#include "models/formats/dequantise.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "runtime/core/dtype.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

constexpr int64_t kSmallBlock = 32;
constexpr int64_t kSuperBlock = 256;

float half_at(const std::byte* at) {
  Float16 half;
  std::memcpy(&half.bits, at, sizeof(half.bits));
  return to_f32(half);
}

const uint8_t* octets(const std::byte* at) {
  return reinterpret_cast<const uint8_t*>(at);
}

// Byte j holds value j in its low and value j + 16 in its high four bits.
void decode_q4_0(const std::byte* block, float* into) {
  const float scale = half_at(block);
  const uint8_t* packed = octets(block + 2);
  for (int j = 0; j < 16; ++j) {
    into[j] = scale * static_cast<float>((packed[j] & 15) - 8);
    into[j + 16] = scale * static_cast<float>((packed[j] >> 4) - 8);
  }
}

void decode_q4_1(const std::byte* block, float* into) {
  const float scale = half_at(block);
  const float minimum = half_at(block + 2);
  const uint8_t* packed = octets(block + 4);
  for (int j = 0; j < 16; ++j) {
    into[j] = scale * static_cast<float>(packed[j] & 15) + minimum;
    into[j + 16] = scale * static_cast<float>(packed[j] >> 4) + minimum;
  }
}

// The fifth bit of value j is bit j of a little-endian word.
int with_fifth_bit(int low, uint32_t high_bits, int j) {
  return low | (static_cast<int>(high_bits >> j & 1u) << 4);
}

void decode_q5_0(const std::byte* block, float* into) {
  const float scale = half_at(block);
  uint32_t high_bits;
  std::memcpy(&high_bits, block + 2, sizeof(high_bits));
  const uint8_t* packed = octets(block + 6);
  for (int j = 0; j < 16; ++j) {
    into[j] = scale * static_cast<float>(with_fifth_bit(packed[j] & 15, high_bits, j) - 16);
    into[j + 16] = scale * static_cast<float>(with_fifth_bit(packed[j] >> 4, high_bits, j + 16) - 16);
  }
}

void decode_q5_1(const std::byte* block, float* into) {
  const float scale = half_at(block);
  const float minimum = half_at(block + 2);
  uint32_t high_bits;
  std::memcpy(&high_bits, block + 4, sizeof(high_bits));
  const uint8_t* packed = octets(block + 8);
  for (int j = 0; j < 16; ++j) {
    into[j] = scale * static_cast<float>(with_fifth_bit(packed[j] & 15, high_bits, j)) + minimum;
    into[j + 16] = scale * static_cast<float>(with_fifth_bit(packed[j] >> 4, high_bits, j + 16)) + minimum;
  }
}

void decode_q8_0(const std::byte* block, float* into) {
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
ScaleMinimum scale_minimum(const uint8_t* packed, int group) {
  if (group < 4) return {packed[group] & 63, packed[group + 4] & 63};
  return {(packed[group + 4] & 15) | (packed[group - 4] >> 6 << 4),
          (packed[group + 4] >> 4) | (packed[group] >> 6 << 4)};
}

// 256 values in eight groups of 32; groups 2c and 2c + 1 are the low and high halves of bytes [32c, 32c +
// 32).
void decode_q4_k(const std::byte* block, float* into) {
  const float scale = half_at(block);
  const float minimum = half_at(block + 2);
  const uint8_t* packed = octets(block + 16);
  for (int group = 0; group < 8; ++group) {
    const ScaleMinimum six_bits = scale_minimum(octets(block + 4), group);
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
void decode_q5_k(const std::byte* block, float* into) {
  const float scale = half_at(block);
  const float minimum = half_at(block + 2);
  const uint8_t* fifth = octets(block + 16);
  const uint8_t* packed = octets(block + 48);
  for (int group = 0; group < 8; ++group) {
    const ScaleMinimum six_bits = scale_minimum(octets(block + 4), group);
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
void decode_q6_k(const std::byte* block, float* into) {
  const float scale = half_at(block + 208);
  for (int half = 0; half < 2; ++half) {
    const uint8_t* low = octets(block) + half * 64;
    const uint8_t* high = octets(block + 128) + half * 32;
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

template <typename Decode>
void for_each_block(std::span<const std::byte> blocks, std::span<float> into, BlockFormat format,
                    Decode decode) {
  const int64_t count = static_cast<int64_t>(into.size()) / format.values;
  for (int64_t i = 0; i < count; ++i) {
    decode(blocks.data() + i * format.bytes, into.data() + i * format.values);
  }
}

struct NamedType {
  uint32_t number;
  std::string_view name;
};

// Also the types that cannot be read, so that an error can name them.
constexpr std::array kTypeNames = std::to_array<NamedType>({
    {0, "F32"},     {1, "F16"},    {2, "Q4_0"},     {3, "Q4_1"},    {6, "Q5_0"},     {7, "Q5_1"},
    {8, "Q8_0"},    {9, "Q8_1"},   {10, "Q2_K"},    {11, "Q3_K"},   {12, "Q4_K"},    {13, "Q5_K"},
    {14, "Q6_K"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"},
    {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"}, {24, "I8"},      {25, "I16"},
    {26, "I32"},    {27, "I64"},   {28, "F64"},     {29, "IQ1_M"},  {30, "BF16"},    {34, "TQ1_0"},
    {35, "TQ2_0"},  {39, "MXFP4"},
});

}  // namespace

BlockFormat block_format(GgmlType type) {
  switch (type) {
    case GgmlType::kF32:
      return {1, 4};
    case GgmlType::kF16:
      return {1, 2};
    case GgmlType::kBF16:
      return {1, 2};
    case GgmlType::kQ4_0:
      return {kSmallBlock, 18};
    case GgmlType::kQ4_1:
      return {kSmallBlock, 20};
    case GgmlType::kQ5_0:
      return {kSmallBlock, 22};
    case GgmlType::kQ5_1:
      return {kSmallBlock, 24};
    case GgmlType::kQ8_0:
      return {kSmallBlock, 34};
    case GgmlType::kQ4_K:
      return {kSuperBlock, 144};
    case GgmlType::kQ5_K:
      return {kSuperBlock, 176};
    case GgmlType::kQ6_K:
      return {kSuperBlock, 210};
  }
  return {};
}

std::string name_of(GgmlType type) {
  const auto number = static_cast<uint32_t>(type);
  const auto* found = std::ranges::find(kTypeNames, number, &NamedType::number);
  return found == kTypeNames.end() ? fmt::format("type {}", number) : std::string(found->name);
}

std::string_view readable_ggml_types() {
  return "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K";
}

void dequantise(GgmlType type, std::span<const std::byte> blocks, std::span<float> into) {
  const BlockFormat format = block_format(type);
  require(format.values > 0, "only readable types are dequantised");
  require(blocks.size() * format.values == into.size() * format.bytes, "whole blocks are dequantised");
  switch (type) {
    case GgmlType::kF32:
      return widen(Dtype::kF32, blocks.data(), into);
    case GgmlType::kF16:
      return widen(Dtype::kF16, blocks.data(), into);
    case GgmlType::kBF16:
      return widen(Dtype::kBF16, blocks.data(), into);
    case GgmlType::kQ4_0:
      return for_each_block(blocks, into, format, decode_q4_0);
    case GgmlType::kQ4_1:
      return for_each_block(blocks, into, format, decode_q4_1);
    case GgmlType::kQ5_0:
      return for_each_block(blocks, into, format, decode_q5_0);
    case GgmlType::kQ5_1:
      return for_each_block(blocks, into, format, decode_q5_1);
    case GgmlType::kQ8_0:
      return for_each_block(blocks, into, format, decode_q8_0);
    case GgmlType::kQ4_K:
      return for_each_block(blocks, into, format, decode_q4_k);
    case GgmlType::kQ5_K:
      return for_each_block(blocks, into, format, decode_q5_k);
    case GgmlType::kQ6_K:
      return for_each_block(blocks, into, format, decode_q6_k);
  }
}

}  // namespace orthant::models
