#include "kernels/codes/code_summary.h"

#include <algorithm>
#include <limits>

#include "kernels/codes/statistics_cuda.h"

namespace orthant::kernels {

void mark_fired(CodesView codes, int64_t first_latent, bool by_selection, Vector<int32_t> fired,
                Stream& stream) {
  if (fired.device.kind == DeviceKind::kCuda) {
    return cuda::mark_fired(codes, first_latent, by_selection, fired, stream);
  }
  for (int64_t e = codes.row_offsets.data[0]; e < codes.entries(); ++e) {
    const int64_t local = codes.latents.data[e] - first_latent;
    if (local < 0 || local >= fired.shape[0]) continue;
    if (by_selection || codes.values.data[e] > 0.0f) fired.data[local] = 1;
  }
}

void smallest_of_rows(CodesView codes, Vector<float> smallest, Stream& stream) {
  require(smallest.shape[0] == codes.rows(), "the smallest values are [rows]");
  if (smallest.device.kind == DeviceKind::kCuda) return cuda::smallest_of_rows(codes, smallest, stream);
  for (int64_t r = 0; r < codes.rows(); ++r) {
    float least = std::numeric_limits<float>::infinity();
    for (int64_t e = codes.row_offsets.data[r]; e < codes.row_offsets.data[r + 1]; ++e) {
      if (codes.values.data[e] > 0.0f) least = std::min(least, codes.values.data[e]);
    }
    smallest.data[r] = least;
  }
}

void latent_value_sums(CodesView codes, LatentOrderView order, Vector<double> sums, Stream& stream) {
  require(order.offsets.shape[0] == sums.shape[0] + 1, "the order is of the summed latents");
  if (sums.device.kind == DeviceKind::kCuda) return cuda::latent_value_sums(codes, order, sums, stream);
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < sums.shape[0]; ++i) {
    double sum = 0.0;
    for (int64_t at = order.offsets.data[i]; at < order.offsets.data[i + 1]; ++at) {
      sum += codes.values.data[order.entries.data[at]];
    }
    sums.data[i] = sum;
  }
}

}  // namespace orthant::kernels
