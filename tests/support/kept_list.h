// A list of kept inputs and the memory it is in.
#pragma once

#include <vector>

#include "kernels/sparse/kept_inputs.h"

namespace orthant::testing {

struct KeptList {
  explicit KeptList(int64_t count)
      : inputs(static_cast<size_t>(count), -1), values(static_cast<size_t>(count)) {}
  KeptList(Vector<const float> x, int64_t keep, int64_t group)
      : KeptList(kernels::kept_count(x.shape[0], keep, group)) {
    Stream stream;
    kernels::kept_inputs(x, keep, group, view(), stream);
  }
  [[nodiscard]] kernels::KeptInputs view() {
    const auto count = static_cast<int64_t>(inputs.size());
    return {{inputs.data(), {count}}, {values.data(), {count}}};
  }
  std::vector<int32_t> inputs;
  std::vector<float> values;
};

}  // namespace orthant::testing
