// The order in which rows of a store are drawn: storage blocks in keyed order, rows shuffled within windows
// of several blocks, so that reading stays sequential within a block and memory is one window.
//
// A pure function of (seed, pass, sample number): any number of ranks sees the same order and resume needs no
// state. Every row comes once a pass, and passes differ. Without shuffling, windows are only the pieces in
// which rows are read in file order. Thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/core/order.h"

namespace orthant {

// The windows of one pass over the rows.
struct PassLayout {
  int64_t pass = 0;
  std::vector<int64_t> blocks;        // in the order in which they are read
  std::vector<int64_t> first_blocks;  // [windows + 1] where each window begins in `blocks`
  std::vector<int64_t> first_rows;    // [windows + 1] rows drawn before each window
  [[nodiscard]] int64_t windows() const { return static_cast<int64_t>(first_rows.size()) - 1; }
  // The window that holds row `index` of the pass.
  [[nodiscard]] int64_t window_of(int64_t index) const;
  [[nodiscard]] int64_t rows_of(int64_t window) const;
};

class SampleOrder {
 public:
  // `block_rows[b]` rows are drawn from storage block b; a window holds at most `window_rows`, or one block.
  SampleOrder(std::vector<int32_t> block_rows, int64_t window_rows, bool shuffle, uint64_t seed);
  [[nodiscard]] int64_t rows() const { return rows_; }  // of a pass
  // Of the largest window of any pass.
  [[nodiscard]] int64_t largest_window_rows() const;
  [[nodiscard]] PassLayout layout(int64_t pass) const;
  // Position `index` of a window draws the window's row permutation(index), counted through its blocks in
  // order.
  [[nodiscard]] KeyedPermutation permutation(const PassLayout& layout, int64_t window) const;
  [[nodiscard]] bool shuffles() const { return shuffle_; }

 private:
  std::vector<int32_t> block_rows_;
  int64_t window_rows_;
  bool shuffle_;
  uint64_t seed_;
  int64_t rows_ = 0;
  int64_t largest_block_rows_ = 0;
};

}  // namespace orthant
