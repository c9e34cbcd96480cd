#include "runtime/core/dtype.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstring>

#include "runtime/core/error.h"

namespace orthant {
namespace {

struct Entry {
  Dtype dtype;
  std::string_view name;
  int64_t bytes;
};

constexpr std::array<Entry, 12> kEntries = {{{Dtype::kF64, "f64", 8},
                                             {Dtype::kF32, "f32", 4},
                                             {Dtype::kF16, "f16", 2},
                                             {Dtype::kBF16, "bf16", 2},
                                             {Dtype::kI64, "i64", 8},
                                             {Dtype::kI32, "i32", 4},
                                             {Dtype::kI16, "i16", 2},
                                             {Dtype::kI8, "i8", 1},
                                             {Dtype::kU64, "u64", 8},
                                             {Dtype::kU32, "u32", 4},
                                             {Dtype::kU16, "u16", 2},
                                             {Dtype::kU8, "u8", 1}}};

const Entry& entry_of(Dtype dtype) {
  return kEntries[static_cast<size_t>(dtype)];
}

template <typename T>
void widen_elements(const void* from, std::span<float> into) {
  const auto* source = static_cast<const T*>(from);
  for (size_t i = 0; i < into.size(); ++i) into[i] = to_f32(source[i]);
}

}  // namespace

int64_t bytes_of(Dtype dtype) {
  return entry_of(dtype).bytes;
}
std::string_view name_of(Dtype dtype) {
  return entry_of(dtype).name;
}

Dtype dtype_from_name(std::string_view name) {
  std::string known;
  for (const Entry& entry : kEntries) {
    if (entry.name == name) return entry.dtype;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", entry.name);
  }
  throw Error(ExitCode::kConfig, {.problem = fmt::format("unknown element type '{}'", name),
                                  .why = "no such type is defined",
                                  .suggestion = "Use one of " + known + "."});
}

float to_f32(Float16 value) {
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000u) << 16;
  const uint32_t exponent = (value.bits >> 10) & 0x1fu;
  const uint32_t mantissa = value.bits & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) {
    const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

Float16 to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {static_cast<uint16_t>(sign | 0x7e00u)};
  if (magnitude >= 0x477ff000u) return {static_cast<uint16_t>(sign | 0x7c00u)};  // rounds to infinity
  if (magnitude < 0x38800000u) {  // subnormal: count in units of 2^-24
    const float units = std::bit_cast<float>(magnitude) * 16777216.0f;
    return {static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyint(units)))};
  }
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return {static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13))};
}

void widen(Dtype dtype, const void* from, std::span<float> into) {
  switch (dtype) {
    case Dtype::kF32:
      std::memcpy(into.data(), from, into.size_bytes());
      return;
    case Dtype::kBF16:
      return widen_elements<BFloat16>(from, into);
    case Dtype::kF16:
      return widen_elements<Float16>(from, into);
    default:
      require(false, "widen() takes f32, bf16 or f16");
  }
}

void narrow(std::span<const float> from, Dtype dtype, void* into) {
  switch (dtype) {
    case Dtype::kF32:
      std::memcpy(into, from.data(), from.size_bytes());
      return;
    case Dtype::kBF16:
      for (size_t i = 0; i < from.size(); ++i) static_cast<BFloat16*>(into)[i] = to_bf16(from[i]);
      return;
    case Dtype::kF16:
      for (size_t i = 0; i < from.size(); ++i) static_cast<Float16*>(into)[i] = to_f16(from[i]);
      return;
    default:
      require(false, "narrow() gives f32, bf16 or f16");
  }
}

}  // namespace orthant
