// What a checkpoint saves and restores: named tensors with their global shape and this rank's slice.
//
// Slices are whole rows of dimension 0, so that a checkpoint of W ranks loads on any other number.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/core/dtype.h"
#include "runtime/device/device.h"

namespace orthant {

struct TensorSlice {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;  // global; a scalar is {1}
  int64_t first_row = 0;       // this rank holds rows [first_row, first_row + rows)
  int64_t rows = 0;
  void* data = nullptr;  // this rank's rows, contiguous
  Device device = kCpu;
  // Equal on all ranks that hold it; written once, by the rank whose `writes` is true.
  bool writes = true;
};

class Checkpointable {
 public:
  virtual ~Checkpointable() = default;
  // Names are unique. The memory stays valid while the object lives; loading writes into it.
  [[nodiscard]] virtual std::vector<TensorSlice> state() = 0;
};

}  // namespace orthant
