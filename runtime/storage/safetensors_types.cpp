#include "runtime/storage/safetensors_types.h"

#include <array>

#include "runtime/core/error.h"

namespace orthant {
namespace {

// The order is that of the format's own list of types, which is by size and then historical.
constexpr std::array<StoredType, 16> kTypes = {{{"BOOL", Dtype::kU8, 0},
                                                {"U8", Dtype::kU8, 1},
                                                {"I8", Dtype::kI8, 2},
                                                {"F8_E5M2", Dtype::kU8, 3},
                                                {"F8_E4M3", Dtype::kU8, 4},
                                                {"F8_E8M0", Dtype::kU8, 5},
                                                {"I16", Dtype::kI16, 6},
                                                {"U16", Dtype::kU16, 7},
                                                {"F16", Dtype::kF16, 8},
                                                {"BF16", Dtype::kBF16, 9},
                                                {"I32", Dtype::kI32, 10},
                                                {"U32", Dtype::kU32, 11},
                                                {"F32", Dtype::kF32, 12},
                                                {"F64", Dtype::kF64, 13},
                                                {"I64", Dtype::kI64, 14},
                                                {"U64", Dtype::kU64, 15}}};

}  // namespace

const StoredType* stored_type_named(std::string_view name) {
  for (const StoredType& type : kTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

const StoredType& stored_type_of(Dtype dtype) {
  for (const StoredType& type : kTypes) {
    if (type.dtype == dtype && type.name != "BOOL") return type;
  }
  require(false, "every element type has a safetensors name");
  return kTypes[0];
}

}  // namespace orthant
