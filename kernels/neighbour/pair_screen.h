// nearest_of_pairs() behind a screen (kernels/screen/screen.h): bf16 tiles bound all products, and only pairs
// that may be the nearest of one of their rows are multiplied in f32. The results have the bits of
// nearest_of_pairs().
//
// Allocated once and used for every step. Not thread-safe.
#pragma once

#include "kernels/neighbour/neighbour.h"
#include "kernels/screen/screened_weights.h"

namespace orthant::kernels {

class PairScreen {
 public:
  PairScreen() = default;
  // For at most `rows` rows of `depth` and `threads` threads.
  PairScreen(Memory& memory, int threads, int64_t rows, int64_t depth);

  // See kernels::nearest_of_pairs. The instruction set must have a screen.
  void nearest_of_pairs(Matrix<const float> rows, int64_t band, PairWorkspace& workspace,
                        Vector<float> best_value, Vector<int64_t> best_index, Isa isa, Stream& stream);

 private:
  struct Pair {
    int32_t first, second;
    float bound;
  };
  struct Thread {
    uint16_t* tiles;        // [block, depth] of a block of rows
    ScreenMargin* margins;  // [block]
    float* bounds;          // [block, columns of a tile]
    Pair* pairs;            // that may be the nearest of a row
    int64_t pair_count;
    PairBest best;
  };
  [[nodiscard]] Thread of_thread(int thread, PairWorkspace& workspace);
  void search_block(Matrix<const float> rows, int64_t row, int64_t count, Isa isa, Thread& thread);
  void note_pairs(const float* bounds, int64_t count, int64_t first, int64_t row, Matrix<const float> rows,
                  Isa isa, Thread& thread);
  void settle(Matrix<const float> rows, Isa isa, Thread& thread);
  [[nodiscard]] float widest_margin() const;

  ScreenedWeights weights_;
  float margin_ = 0.0f;
  int64_t bytes_per_thread_ = 0;
  Buffer buffer_;
};

}  // namespace orthant::kernels
