#include "kernels/backward/transpose.h"

#include <algorithm>

#include "kernels/dispatch.h"

namespace orthant::kernels {

void transpose(Matrix<const float> from, Matrix<float> into, Stream&) {
  require(from.shape[0] == into.shape[1] && from.shape[1] == into.shape[0], "transposed shapes agree");
  if (from.device.kind == DeviceKind::kCuda) throw_no_body("transpose", from.device);
  // Tiles of which both sides stay in cache.
  constexpr int64_t kTile = 32;
#pragma omp parallel for schedule(static) if (from.elements() > 65536)
  for (int64_t first = 0; first < into.shape[0]; first += kTile) {
    const int64_t end = std::min(first + kTile, into.shape[0]);
    for (int64_t begin = 0; begin < into.shape[1]; begin += kTile) {
      const int64_t last = std::min(begin + kTile, into.shape[1]);
      for (int64_t row = first; row < end; ++row) {
        for (int64_t column = begin; column < last; ++column) into.row(row)[column] = from.row(column)[row];
      }
    }
  }
}

}  // namespace orthant::kernels
