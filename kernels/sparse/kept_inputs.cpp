#include "kernels/sparse/kept_inputs.h"

#include <algorithm>
#include <vector>

#include "kernels/pruning/score_bits.h"
#include "kernels/sparse/sparse_cuda.h"
#include "kernels/sparse/sparse_rows.h"

namespace orthant::kernels {
namespace {

void keep_all(Vector<const float> x, KeptInputs into) {
  for (int64_t i = 0; i < x.shape[0]; ++i) into.inputs.data[i] = static_cast<int32_t>(i);
  std::copy_n(x.data, x.shape[0], into.values.data);
}

// Larger is kept first: the magnitude, then the lower index.
int64_t rank_key(float value, int64_t index) {
  return static_cast<int64_t>(score_bits(value, 1.0f)) << 32 | (0x7fffffff - index);
}

// Groups of any size.
void keep_in_groups(Vector<const float> x, int64_t keep, int64_t group, KeptInputs into) {
  std::vector<int64_t> keys(static_cast<size_t>(group));
  int64_t kept = 0;
  for (int64_t first = 0; first < x.shape[0]; first += group) {
    for (int64_t i = 0; i < group; ++i) keys[static_cast<size_t>(i)] = rank_key(x.data[first + i], i);
    const auto last_kept = keys.begin() + keep - 1;
    std::nth_element(keys.begin(), last_kept, keys.end(), std::greater<>());
    const int64_t bound = *last_kept;
    for (int64_t i = 0; i < group; ++i) {
      if (rank_key(x.data[first + i], i) < bound) continue;
      into.inputs.data[kept] = static_cast<int32_t>(first + i);
      into.values.data[kept++] = x.data[first + i];
    }
  }
}

}  // namespace

void kept_inputs(Vector<const float> x, int64_t keep, int64_t group, KeptInputs into, Stream& stream,
                 const RowProducer& producer) {
  const int64_t width = x.shape[0];
  const Matrix<const float> row{x.data, {1, width}, x.device};
  require_fits(producer, row);
  require(group > 0 && keep >= 0 && keep <= group, "at most all of a group are kept");
  require(width % group == 0, "the width is a multiple of the group");
  require(into.count() == kept_count(width, keep, group) && into.values.shape == into.inputs.shape,
          "the list has room for exactly what is kept");
  if (keep == 0) return;
  if (x.device.kind == DeviceKind::kCuda) return cuda::kept_inputs(x, keep, group, into, stream, producer);
  std::vector<float> room(producer.makes_rows() ? static_cast<size_t>(width) : 0);
  x.data = produced_row(producer, row, 0, room.data());
  if (keep == group) return keep_all(x, into);
  if (sparse_rows().keep_largest(x.data, width, keep, group, into.inputs.data, into.values.data)) return;
  keep_in_groups(x, keep, group, into);
}

}  // namespace orthant::kernels
