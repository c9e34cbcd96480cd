// Element types of tensors and files, and the bit conversions between f32 and the 16-bit floats.
//
// f32 -> bf16 and f32 -> f16 round to nearest, ties to even, and keep infinities and NaN. Thread-safe.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string_view>

namespace orthant {

enum class Dtype : int32_t { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU64, kU32, kU16, kU8 };

[[nodiscard]] int64_t bytes_of(Dtype dtype);
// Lower-case names as flags write them: "f32", "bf16", ...
[[nodiscard]] std::string_view name_of(Dtype dtype);
// Throws Error(kConfig) for an unknown name, listing the known ones.
[[nodiscard]] Dtype dtype_from_name(std::string_view name);

struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

inline float to_f32(BFloat16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16);
}
inline BFloat16 to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}
[[nodiscard]] float to_f32(Float16 value);
[[nodiscard]] Float16 to_f16(float value);

// Element by element; both spans have the same length. `from` / `into` hold `dtype` = f32, bf16 or f16.
void widen(Dtype dtype, const void* from, std::span<float> into);
void narrow(std::span<const float> from, Dtype dtype, void* into);

template <typename T>
constexpr Dtype dtype_of();
template <>
constexpr Dtype dtype_of<double>() {
  return Dtype::kF64;
}
template <>
constexpr Dtype dtype_of<float>() {
  return Dtype::kF32;
}
template <>
constexpr Dtype dtype_of<BFloat16>() {
  return Dtype::kBF16;
}
template <>
constexpr Dtype dtype_of<Float16>() {
  return Dtype::kF16;
}
template <>
constexpr Dtype dtype_of<int64_t>() {
  return Dtype::kI64;
}
template <>
constexpr Dtype dtype_of<int32_t>() {
  return Dtype::kI32;
}
template <>
constexpr Dtype dtype_of<uint64_t>() {
  return Dtype::kU64;
}
template <>
constexpr Dtype dtype_of<uint32_t>() {
  return Dtype::kU32;
}
template <>
constexpr Dtype dtype_of<uint8_t>() {
  return Dtype::kU8;
}

}  // namespace orthant
