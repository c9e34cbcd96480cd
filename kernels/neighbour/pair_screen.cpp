#include "kernels/neighbour/pair_screen.h"

#include <omp.h>

#include "kernels/dense/gemm_plan.h"
#include "kernels/isa/isa.h"

namespace orthant::kernels {
namespace {

constexpr int64_t kBlockRows = 256;
constexpr int64_t kTileColumns = kPairColumns;
constexpr int64_t kMaxPairs = 1 << 16;
constexpr int64_t kTogether = 16;  // pairs multiplied at once

int64_t tile_bytes(int64_t depth) {
  return kBlockRows * ((depth + kScreenDepth - 1) / kScreenDepth) * kScreenDepth * 2;
}

}  // namespace

PairScreen::PairScreen(Memory& memory, int threads, int64_t rows, int64_t depth)
    : weights_(memory, "orthogonality", rows, depth),
      bytes_per_thread_(tile_bytes(depth) + kBlockRows * static_cast<int64_t>(sizeof(ScreenMargin)) +
                        kBlockRows * kTileColumns * 4 + kMaxPairs * static_cast<int64_t>(sizeof(Pair))),
      buffer_(memory.allocate("orthogonality", bytes_per_thread_ * threads)) {}

PairScreen::Thread PairScreen::of_thread(int thread, PairWorkspace& workspace) {
  std::byte* cursor = buffer_.data() + thread * bytes_per_thread_;
  Thread result{};
  result.tiles = reinterpret_cast<uint16_t*>(cursor);
  result.margins = reinterpret_cast<ScreenMargin*>(cursor += tile_bytes(weights_.depth()));
  result.bounds = reinterpret_cast<float*>(cursor += kBlockRows * static_cast<int64_t>(sizeof(ScreenMargin)));
  result.pairs = reinterpret_cast<Pair*>(cursor += kBlockRows * kTileColumns * 4);
  result.best = workspace.of_thread(thread);
  return result;
}

// No product is further below its upper bound than twice this.
float PairScreen::widest_margin() const {
  RoundedVector longest = {.length = 0.0, .error = 0.0, .scale = 1.0f};
  for (int64_t i = 0; i < weights_.columns(); ++i) {
    longest.length = std::max<double>(longest.length, *weights_.lengths(i));
    longest.error = std::max<double>(longest.error, *weights_.errors(i));
  }
  const ScreenMargin latent = margin_of_latent(longest);
  return screen_margin(margin_of_row(longest, weights_.depth()), latent.length, latent.error);
}

// Replaces the bounds of all pairs noted by their products.
void PairScreen::settle(Matrix<const float> rows, Isa isa, Thread& thread) {
  const ScreenOps& ops = *screen_ops(isa);
  const PairBest& best = thread.best;
  int64_t waiting = 0;
  int32_t first[kTogether], second[kTogether];
  float products[kTogether];
  const auto multiply = [&] {
    ops.pair_products({.rows = rows.data,
                       .depth = rows.shape[1],
                       .first = first,
                       .second = second,
                       .count = waiting,
                       .products = products});
    for (int64_t i = 0; i < waiting; ++i) {
      best.offer(first[i], products[i], second[i]);
      best.offer(second[i], products[i], first[i]);
    }
    waiting = 0;
  };
  for (int64_t p = 0; p < thread.pair_count; ++p) {
    const Pair& pair = thread.pairs[p];
    // Written so that NaN passes.
    if (pair.bound <= best.below[pair.first] && pair.bound <= best.below[pair.second]) continue;
    first[waiting] = pair.first;
    second[waiting] = pair.second;
    if (++waiting == kTogether) multiply();
  }
  if (waiting > 0) multiply();
  thread.pair_count = 0;
}

// Notes the pairs of row `row` with the candidates of one tile that come after it.
void PairScreen::note_pairs(const float* bounds, int64_t count, int64_t first, int64_t row,
                            Matrix<const float> rows, Isa isa, Thread& thread) {
  each_promising_pair(filter_ops(isa), bounds, count, first, row, thread.best, [&](int64_t i) {
    if (thread.pair_count == kMaxPairs) settle(rows, isa, thread);
    thread.pairs[thread.pair_count++] = {static_cast<int32_t>(row), static_cast<int32_t>(first + i),
                                         bounds[i]};
    const float lower = bounds[i] - 2.0f * margin_;
    thread.best.expect(row, lower);
    thread.best.expect(first + i, lower);
  });
}

void PairScreen::search_block(Matrix<const float> rows, int64_t row, int64_t count, Isa isa, Thread& thread) {
  const int64_t n = rows.shape[0];
  const ScreenedRows block(weights_, rows.rows(row, count), isa, thread.tiles, thread.margins);
  for (int64_t first = row / kScreenStep * kScreenStep; first < n; first += kTileColumns) {
    const int64_t width = std::min(kTileColumns, n - first);
    block.upper_bounds(first, width, thread.bounds, kTileColumns);
    for (int64_t r = 0; r < count; ++r) {
      note_pairs(thread.bounds + r * kTileColumns, width, first, row + r, rows, isa, thread);
    }
  }
}

void PairScreen::nearest_of_pairs(Matrix<const float> rows, int64_t band, PairWorkspace& workspace,
                                  Vector<float> best_value, Vector<int64_t> best_index, Isa isa,
                                  Stream& stream) {
  const int64_t n = rows.shape[0];
  require(band >= 0 && band <= n && n <= workspace.rows(), "the band and the workspace fit the rows");
  require(best_value.shape[0] == n && best_index.shape[0] == n, "best has one element a row");
  weights_.pack(rows, isa, stream);
  margin_ = widest_margin();
  const int threads = std::min(workspace.threads(), omp_get_max_threads());
  const int64_t block_rows = block_rows_of(band, threads, kScreenStep, kBlockRows);
#pragma omp parallel num_threads(threads)
  {
    Thread own = of_thread(omp_get_thread_num(), workspace);
    own.best.clear(n);
#pragma omp for schedule(dynamic, 1)
    for (int64_t row = 0; row < band; row += block_rows) {
      search_block(rows, row, std::min(block_rows, band - row), isa, own);
    }
    settle(rows, isa, own);
#pragma omp barrier
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n; ++i) {
      workspace.join(omp_get_num_threads(), i, best_value.data[i], best_index.data[i]);
    }
  }
}

}  // namespace orthant::kernels
