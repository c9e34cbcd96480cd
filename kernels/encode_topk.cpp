#include <omp.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/encode.h"
#include "kernels/encode_block.h"
#include "kernels/gemm_plan.h"
#include "kernels/isa.h"
#include "runtime/core/dtype.h"

namespace orthant::kernels {
namespace {

// Orders candidates: larger rank first, then the lower latent. Ranks are positive or NaN, whose bits sort
// above all numbers once the sign is cleared.
int64_t key_of(float rank, int64_t latent) {
  const uint32_t bits = std::bit_cast<uint32_t>(rank) & 0x7fffffffu;
  return (static_cast<int64_t>(bits) << 32) | (0xffffffffu - static_cast<uint32_t>(latent));
}
float rank_of(int64_t key) {
  return std::bit_cast<float>(static_cast<uint32_t>(key >> 32));
}
int64_t latent_of(int64_t key) {
  return 0xffffffffu - static_cast<uint32_t>(key);
}

// The k best entries of each row of one block.
class TopKOfBlock {
 public:
  TopKOfBlock(const EncodeArgs& args, const FilterOps& filter, int64_t k, const EncodeScratch& scratch)
      : args_(args), filter_(filter), k_(k), scratch_(scratch) {}

  void run(const EncodeBlock& block, int64_t first_row, CodesView out) {
    std::fill_n(scratch_.counts, block.rows(), 0);
    std::fill_n(scratch_.thresholds, block.rows(), 0.0f);
    block.each_row_of_each_tile(
        [&](int64_t r, FilterRow& row, int64_t first_latent) { collect(r, row, first_latent); });
    for (int64_t r = 0; r < block.rows(); ++r) emit(r, first_row + r, out);
  }

 private:
  // Keeps what may still be among the k best. Latents ascend, so a later equal rank never displaces an
  // earlier one.
  void collect(int64_t r, FilterRow& row, int64_t first_latent) {
    uint64_t words[kTileWords];
    row.threshold = scratch_.thresholds[r];
    filter_.above(row, words);
    int64_t count = scratch_.counts[r];
    if (count + bits_set(words, row.count) > scratch_.candidates) {
      count = tighten(r, count, false);
      row.threshold = scratch_.thresholds[r];
      filter_.above(row, words);
    }
    scratch_.counts[r] = row.scale == nullptr ? insert<false>(r, row, words, first_latent, count)
                                              : insert<true>(r, row, words, first_latent, count);
  }

  // Appends the elements of the tile whose bits are set, for which there is room; returns the new count.
  template <bool kScaled>
  int64_t insert(int64_t r, const FilterRow& row, const uint64_t* words, int64_t first_latent,
                 int64_t count) {
    int64_t* const keys = scratch_.keys + r * scratch_.candidates;
    float* const values = scratch_.values + r * scratch_.candidates;
    each_set_bit(words, row.count, [=, &count](int64_t i) {
      const float activation = activation_of(row, i);
      keys[count] = key_of(kScaled ? activation * row.scale[i] : activation, first_latent + i);
      values[count] = activation;
      ++count;
    });
    return count;
  }

  // Drops candidates that k others beat and raises the row's threshold accordingly; leaves about k, or
  // exactly k.
  int64_t tighten(int64_t r, int64_t count, bool exactly) {
    if (count <= k_) return count;
    int64_t last = filter_.near_kth(scratch_.keys + r * scratch_.candidates, count, k_);
    int64_t kept = keep_from(r, count, last);
    if (exactly || kept > EncodeScratch::candidates_after_tightening(k_)) {
      last = kth_of(r, kept);
      kept = keep_from(r, kept, last);
    }
    // Only NaN passes an infinite threshold.
    const float rank = rank_of(last);
    scratch_.thresholds[r] = std::isnan(rank) ? std::numeric_limits<float>::infinity() : rank;
    return kept;
  }

  [[nodiscard]] int64_t kth_of(int64_t r, int64_t count) {
    std::copy_n(scratch_.keys + r * scratch_.candidates, count, scratch_.spare);
    std::nth_element(scratch_.spare, scratch_.spare + k_ - 1, scratch_.spare + count, std::greater<>());
    return scratch_.spare[k_ - 1];
  }

  // Keeps the candidates from `last` on, in their order; returns how many.
  int64_t keep_from(int64_t r, int64_t count, int64_t last) {
    int64_t* const keys = scratch_.keys + r * scratch_.candidates;
    float* const values = scratch_.values + r * scratch_.candidates;
    int64_t kept = 0;
    for (int64_t i = 0; i < count; ++i) {
      keys[kept] = keys[i];
      values[kept] = values[i];
      kept += keys[i] >= last ? 1 : 0;
    }
    return kept;
  }

  void emit(int64_t r, int64_t row, CodesView out) {
    const int64_t count = tighten(r, scratch_.counts[r], true);
    const int64_t* const keys = scratch_.keys + r * scratch_.candidates;
    const float* const values = scratch_.values + r * scratch_.candidates;
    int32_t* latents = out.latents.data + row * k_;
    float* activations = out.values.data + row * k_;
    int64_t missing = k_ - count, next = 0;
    const auto put = [&](int64_t latent, float value) {
      *latents++ = latent_number(args_, latent);
      *activations++ = value;
    };
    for (int64_t i = 0; i < count; ++i) {
      for (; missing > 0 && next < latent_of(keys[i]); ++next, --missing) put(next, unranked(row, next));
      put(latent_of(keys[i]), values[i]);
      next = latent_of(keys[i]) + 1;
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
  const FilterOps& filter_;
  const int64_t k_;
  const EncodeScratch& scratch_;
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
    const EncodeScratch scratch(workspace.of_thread(omp_get_thread_num()), workspace.k(), workspace.depth());
    const EncodeBlock block(args, isa, first, std::min(block_rows, rows - first), scratch);
    TopKOfBlock(args, filter_ops(isa), kept, scratch).run(block, first, out);
  }
}

}  // namespace orthant::kernels
