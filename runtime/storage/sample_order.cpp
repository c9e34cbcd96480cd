#include "runtime/storage/sample_order.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace orthant {

int64_t PassLayout::window_of(int64_t index) const {
  const auto after = std::upper_bound(first_rows.begin(), first_rows.end(), index);
  return static_cast<int64_t>(after - first_rows.begin()) - 1;
}

int64_t PassLayout::rows_of(int64_t window) const {
  const auto at = static_cast<size_t>(window);
  return first_rows[at + 1] - first_rows[at];
}

SampleOrder::SampleOrder(std::vector<int32_t> block_rows, int64_t window_rows, bool shuffle, uint64_t seed)
    : block_rows_(std::move(block_rows)), window_rows_(window_rows), shuffle_(shuffle), seed_(seed) {
  rows_ = std::accumulate(block_rows_.begin(), block_rows_.end(), int64_t{0});
  for (const int32_t rows : block_rows_) largest_block_rows_ = std::max<int64_t>(largest_block_rows_, rows);
}

int64_t SampleOrder::largest_window_rows() const {
  return std::min(rows_, std::max(window_rows_, largest_block_rows_));
}

PassLayout SampleOrder::layout(int64_t pass) const {
  PassLayout layout{.pass = pass, .blocks = {}, .first_blocks = {0}, .first_rows = {0}};
  const auto blocks = static_cast<int64_t>(block_rows_.size());
  if (blocks == 0) return layout;
  const KeyedPermutation order(blocks, seed_, Purpose::kSampleOrder, static_cast<uint32_t>(pass));
  // A single window is shuffled as a whole; its blocks stay where they are, so that passes share what was
  // read.
  const bool permute = shuffle_ && rows_ > window_rows_;
  int64_t drawn = 0;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t block = permute ? order(i) : i;
    const int64_t rows = block_rows_[static_cast<size_t>(block)];
    if (rows == 0) continue;
    if (const int64_t open = drawn - layout.first_rows.back(); open > 0 && open + rows > window_rows_) {
      layout.first_rows.push_back(drawn);
      layout.first_blocks.push_back(static_cast<int64_t>(layout.blocks.size()));
    }
    layout.blocks.push_back(block);
    drawn += rows;
  }
  if (drawn == 0) return layout;
  layout.first_rows.push_back(drawn);
  layout.first_blocks.push_back(static_cast<int64_t>(layout.blocks.size()));
  return layout;
}

KeyedPermutation SampleOrder::permutation(const PassLayout& layout, int64_t window) const {
  const auto pass = static_cast<uint32_t>(layout.pass);
  // The keys of the order of blocks are drawn at indices 0 and 1.
  const uint64_t seed = random_u64(seed_, Purpose::kSampleOrder, pass, static_cast<uint64_t>(window) + 2);
  return {layout.rows_of(window), seed, Purpose::kSampleOrder, pass};
}

}  // namespace orthant
