// Element types of the safetensors container: names, sizes and the order in which the writer lays them out.
// Thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

#include "runtime/core/dtype.h"

namespace orthant {

struct StoredType {
  std::string_view name;
  Dtype dtype;  // kU8 for one-byte types without a Dtype
  int order;    // tensors of a higher order come first in a file
};

// Null for an unknown name.
[[nodiscard]] const StoredType* stored_type_named(std::string_view name);
[[nodiscard]] const StoredType& stored_type_of(Dtype dtype);

}  // namespace orthant
