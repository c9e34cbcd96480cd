#include <omp.h>

#include <algorithm>

#include "kernels/encode/encode.h"
#include "kernels/encode/encode_beside.h"
#include "kernels/encode/encode_block.h"
#include "kernels/encode/encode_cuda.h"
#include "kernels/encode/row_tops.h"
#include "kernels/isa/isa.h"

namespace orthant::kernels {
namespace {

// The k best entries of each row of one block.
class TopKOfBlock {
 public:
  TopKOfBlock(const EncodeArgs& args, const FilterOps& filter, const EncodeBlock& block, int64_t k,
              const EncodeScratch& scratch)
      : args_(args),
        block_(block),
        k_(k),
        tops_(args, filter, block, k, true, scratch.selected),
        beside_(args, filter, block, scratch.beside) {}

  void run(int64_t first_row, CodesView out) {
    tops_.start(block_.rows());
    beside_.start(block_.rows());
    block_.each_row_of_each_tile([&](int64_t r, FilterRow& row, int64_t first_latent) {
      tops_.collect(r, row, first_latent, nullptr);
      beside_.collect(r, row, first_latent);
    });
    for (int64_t r = 0; r < block_.rows(); ++r) emit(r, first_row + r, out);
    beside_.emit(first_row, block_.rows());
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
      for (; missing > 0 && next < latent; ++next, --missing) put(next, unranked(r, next));
      put(latent, values[i]);
      next = latent + 1;
    }
    for (; missing > 0; ++next, --missing) put(next, unranked(r, next));
  }

  // The activation of a latent whose rank is zero: positive only where its scale made the rank vanish.
  [[nodiscard]] float unranked(int64_t r, int64_t latent) const {
    if (args_.selection_scale.shape[0] == 0) return 0.0f;
    const float* const bias = args_.bias.shape[0] > 0 ? args_.bias.data : nullptr;
    return activation_of(block_.product(r, latent), bias, latent);
  }

  const EncodeArgs& args_;
  const EncodeBlock& block_;
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
                 Stream& stream) {
  check_encode(args, workspace, out);
  const int64_t rows = args.input.shape[0], kept = std::min(k, args.local_latents());
  require(k >= 0 && kept <= workspace.k(), "the workspace of an encode has room for k");
  require(rows * kept <= out.capacity(), "codes have room for k entries a row");
  if (args.input.device.kind == DeviceKind::kCuda) {
    return cuda::encode_topk(args, args.encoder->dense(), k, workspace.on_cuda(), out, stream);
  }
  for (int64_t r = 0; r <= rows; ++r) out.row_offsets.data[r] = r * kept;
  if (kept == 0) return;
  const int threads = encode_threads(workspace);
  const int64_t block_rows = encode_block_rows(args, threads, isa);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (int64_t first = 0; first < rows; first += block_rows) {
    const EncodeScratch scratch(workspace, omp_get_thread_num());
    const EncodeBlock block(args, isa, first, std::min(block_rows, rows - first), scratch);
    TopKOfBlock(args, filter_ops(isa), block, kept, scratch).run(first, out);
  }
}

}  // namespace orthant::kernels
