// Byte-pair merges: which pairs of neighbouring tokens become one, and in which order.
//
// The pair of lowest rank is merged first, the leftmost of equal ones, until no pair is in the table.
// Immutable after set-up; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace orthant::models {

struct Merge {
  int32_t rank = -1;  // negative: the pair does not merge
  int32_t token = 0;
};

class MergeTable {
 public:
  // `expected` merges are about to be added.
  explicit MergeTable(int64_t expected);

  // Of two merges of one pair the first counts.
  void add(int32_t left, int32_t right, Merge merge);
  [[nodiscard]] Merge find(int32_t left, int32_t right) const;
  [[nodiscard]] int64_t size() const { return size_; }

  // Merges the tokens from `first` on in place, in O(n log n).
  void apply(std::vector<int32_t>& tokens, size_t first) const;

 private:
  struct Slot {
    uint64_t pair = kFree;
    Merge merge;
  };
  static constexpr uint64_t kFree = ~uint64_t{0};
  [[nodiscard]] size_t slot_of(uint64_t pair) const;
  void grow();

  std::vector<Slot> slots_;  // a power of two, at most half full
  int64_t size_ = 0;
};

}  // namespace orthant::models
