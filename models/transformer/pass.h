// One forward in progress and how its rows are dealt to threads: what the parts of forward.cpp share. Not
// Collective; one thread, which has others work for it.
#pragma once

#include <omp.h>

#include <algorithm>
#include <initializer_list>

#include "models/transformer/forward.h"

namespace orthant::models {

struct Pass {
  const Weights& weights;
  const ForwardArgs& args;
  RunState& state;
  Stream& stream;
  KvCache& cache;
  HookPoint last;  // nothing after this hook is wanted

  [[nodiscard]] int64_t tokens() const { return args.batch.tokens(); }
  [[nodiscard]] Matrix<float> residual() const { return state.residual.view().rows(0, tokens()); }
  [[nodiscard]] Matrix<float> delta() const { return state.delta.view().rows(0, tokens()); }
  [[nodiscard]] Vector<const int32_t> positions() const {
    return state.positions_at.view().rows(0, tokens());
  }
  [[nodiscard]] bool wants_after(HookPoint hook) const { return hook < last; }
  // Whether any of a block's projections needs the rows of the whole batch before the first of its products.
  [[nodiscard]] bool needs_whole(int64_t layer, std::initializer_list<Projection> projections) const {
    if (args.inputs != nullptr) return true;
    return args.pruning != nullptr && std::any_of(projections.begin(), projections.end(), [&](Projection p) {
             const InputSelection* const selection = pruned(layer, p).selection.get();
             return selection != nullptr && selection->looks_across_rows();
           });
  }
  [[nodiscard]] const PrunedProjection& pruned(int64_t layer, Projection projection) const {
    return args.pruning->blocks[static_cast<size_t>(layer)][static_cast<size_t>(projection)];
  }
};

inline void count_product(const Pass& pass, const kernels::PackedWeights& weights) {
  pass.state.flops += 2 * pass.tokens() * weights.columns() * weights.depth();
}

// Rows that a thread works off together: all rows at once where they are few, so that the products divide
// their columns among the threads instead.
inline int64_t block_rows(const Pass& pass) {
  constexpr int64_t kFew = 64;
  if (pass.tokens() <= kFew) return kFew;
  const RowBlocks& dealt = pass.state.blocks;
  const int64_t share = (pass.tokens() + dealt.threads - 1) / dealt.threads;
  return std::clamp<int64_t>(share, kFew, dealt.rows);
}

// A block of rows of the batch and the buffers of the thread that has it.
struct RowBlock {
  int64_t first;
  int64_t rows;
  int64_t place;  // the first row of a buffer [threads * block rows, width] that is its thread's
  [[nodiscard]] Matrix<float> of(Tensor<float, 2>& buffer) const { return buffer.view().rows(place, rows); }
};

// Calls work(block) for all rows of the batch, blocks dealt to threads: one meeting of the threads for
// several products.
template <typename Work>
void for_row_blocks(const Pass& pass, Work work) {
  const int64_t size = block_rows(pass);
  const int64_t blocks = (pass.tokens() + size - 1) / size;
  const auto threads = static_cast<int>(std::min<int64_t>(pass.state.blocks.threads, blocks));
  const auto work_on = [&](int64_t block, int64_t thread) {
    const int64_t first = block * size;
    work(RowBlock{first, std::min(size, pass.tokens() - first), thread * pass.state.blocks.rows});
  };
  if (threads <= 1) {
    // What a device throws may leave this loop; it could not leave the other.
    for (int64_t block = 0; block < blocks; ++block) work_on(block, 0);
    return;
  }
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (int64_t block = 0; block < blocks; ++block) work_on(block, omp_get_thread_num());
}

}  // namespace orthant::models
