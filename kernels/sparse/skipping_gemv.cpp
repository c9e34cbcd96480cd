#include "kernels/sparse/skipping_gemv.h"

#include <omp.h>

#include <algorithm>

#include "kernels/sparse/sparse_cuda.h"
#include "kernels/sparse/sparse_rows.h"

namespace orthant::kernels {
namespace {

// Tiles of equal width, as many for each thread.
int64_t tile_width(int64_t outputs, int64_t threads) {
  const int64_t rounds = (outputs + kSkippingTile * threads - 1) / (kSkippingTile * threads);
  const int64_t width = (outputs + rounds * threads - 1) / (rounds * threads);
  return (width + kOutputPadding - 1) / kOutputPadding * kOutputPadding;
}

}  // namespace

void skipping_gemv(const KeptInputs& kept, const InputMajorWeights& weights, Vector<float> out,
                   Stream& stream) {
  skipping_gemv(kept, weights, out, active_isa(), stream);
}

void skipping_gemv(const KeptInputs& kept, const InputMajorWeights& weights, Vector<float> out, Isa isa,
                   Stream& stream) {
  const int64_t outputs = weights.outputs();
  require(out.shape[0] == outputs, "out has the outputs of the weights");
  require(kept.count() <= weights.inputs(), "no more inputs are kept than the weights have");
  require(out.device == weights.device(), "the product is where its weights are");
  if (outputs == 0) return;
  if (out.device.kind == DeviceKind::kCuda) return cuda::skipping_gemv(kept, weights.rows(), out, stream);
  const SparseRows& rows = sparse_rows(isa);
  // Below this, waking the threads costs more than the product.
  constexpr int64_t kSmallProduct = 1 << 17;
  const int64_t threads = kept.count() * outputs > kSmallProduct ? omp_get_max_threads() : 1;
  const int64_t width = tile_width(outputs, threads);
  const InputMajorRows stored = weights.rows();
#pragma omp parallel for schedule(dynamic, 1) if (threads > 1)
  for (int64_t first = 0; first < outputs; first += width) {
    rows.multiply({.weights = stored.data,
                   .row_bytes = stored.row_bytes,
                   .scales_at = stored.scales_at(),
                   .format = stored.format,
                   .inputs = kept.inputs.data,
                   .values = kept.values.data,
                   .kept = kept.count(),
                   .first = first,
                   .count = std::min(width, outputs - first),
                   .out = out.data + first});
  }
}

}  // namespace orthant::kernels
