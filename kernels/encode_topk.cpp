#include <omp.h>

#include <algorithm>
#include <cmath>

#include "kernels/encode.h"
#include "kernels/encode_beside.h"
#include "kernels/encode_block.h"
#include "kernels/gemm_plan.h"
#include "kernels/isa.h"
#include "kernels/row_tops.h"
#include "runtime/core/dtype.h"

namespace orthant::kernels {
namespace {

// The k best entries of each row of one block.
class TopKOfBlock {
 public:
  TopKOfBlock(const EncodeArgs& args, const FilterOps& filter, int64_t k, const EncodeScratch& scratch)
      : args_(args), k_(k), tops_(filter, k, scratch.selected), beside_(args, filter, scratch.beside) {}

  void run(const EncodeBlock& block, int64_t first_row, CodesView out) {
    tops_.start(block.rows());
    beside_.start(block.rows());
    block.each_row_of_each_tile([&](int64_t r, FilterRow& row, int64_t first_latent) {
      tops_.collect(r, row, first_latent, nullptr);
      beside_.collect(r, row, first_latent);
    });
    for (int64_t r = 0; r < block.rows(); ++r) emit(r, first_row + r, out);
    beside_.emit(first_row, block.rows());
  }

 private:
  void emit(int64_t r, int64_t row, CodesView out) {
    const int64_t count = tops_.finish(r);
    const float* const values = tops_.values(r);
    int32_t* latents = out.latents.data + row * k_;
    float* activations = out.values.data + row * k_;
    int64_t missing = k_ - count, next = 0;
    const auto put = [&](int64_t latent, float value) {
      *latents++ = latent_number(args_, latent);
      *activations++ = value;
    };
    for (int64_t i = 0; i < count; ++i) {
      const int64_t latent = tops_.local_latent(r, i);
      for (; missing > 0 && next < latent; ++next, --missing) put(next, unranked(row, next));
      put(latent, values[i]);
      next = latent + 1;
    }
    for (; missing > 0; ++next, --missing) put(next, unranked(row, next));
  }

  // The activation of a latent whose rank is zero: positive only where its scale made the rank vanish.
  [[nodiscard]] float unranked(int64_t row, int64_t latent) const {
    if (args_.selection_scale.shape[0] == 0) return 0.0f;
    constexpr int64_t kPanel = PackedWeights::kPanel;
    const float* const weights = args_.encoder->panel(latent / kPanel) + latent % kPanel;
    const float* const input = args_.input.row(row);
    const bool rounds = args_.encoder->precision() == Precision::kBF16;
    float sum = 0.0f;
    for (int64_t k = 0; k < args_.encoder->depth(); ++k) {
      const float value = rounds ? to_f32(to_bf16(input[k])) : input[k];
      sum = std::fma(value, weights[k * kPanel], sum);
    }
    if (args_.bias.shape[0] > 0) sum += args_.bias.data[latent];
    return sum <= 0.0f ? 0.0f : sum;
  }

  const EncodeArgs& args_;
  const int64_t k_;
  const RowTops tops_;
  const BesideOfBlock beside_;
};

}  // namespace

void encode_topk(const EncodeArgs& args, int64_t k, EncodeWorkspace& workspace, CodesView out,
                 Stream& stream) {
  encode_topk(args, k, workspace, out, active_isa(), stream);
}

void encode_topk(const EncodeArgs& args, int64_t k, EncodeWorkspace& workspace, CodesView out, Isa isa,
                 Stream&) {
  check_encode(args, workspace, out);
  const int64_t rows = args.input.shape[0], kept = std::min(k, args.encoder->columns());
  require(k >= 0 && kept <= workspace.k(), "the workspace of an encode has room for k");
  require(rows * kept <= out.capacity(), "codes have room for k entries a row");
  for (int64_t r = 0; r <= rows; ++r) out.row_offsets.data[r] = r * kept;
  if (kept == 0) return;
  const int threads = encode_threads(workspace);
  const int64_t block_rows = block_rows_of(rows, threads, gemm_ops(isa).strip_rows, kEncodeRows);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (int64_t first = 0; first < rows; first += block_rows) {
    const EncodeScratch scratch(workspace, omp_get_thread_num());
    const EncodeBlock block(args, isa, first, std::min(block_rows, rows - first), scratch);
    TopKOfBlock(args, filter_ops(isa), kept, scratch).run(block, first, out);
  }
}

}  // namespace orthant::kernels
