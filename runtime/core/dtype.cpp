#include "runtime/core/dtype.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "runtime/core/error.h"
#include "runtime/core/half.h"

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
  return f32_of_half(value.bits);
}

Float16 to_f16(float value) {
  return {half_of_f32(value)};
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
