// What an ordered sum gives, whatever the number of ranks: checked against the tree written out by recursion.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "runtime/comm/ordered_sum.h"
#include "runtime/comm/world.h"
#include "runtime/core/rng.h"

namespace orthant::testing {

inline constexpr int kVirtualShards = 12;

// Values of very different size, so that another order of additions gives other bits.
template <typename T>
T shard_value(int shard, int64_t element) {
  const auto at = static_cast<uint64_t>(element) * 64 + static_cast<uint64_t>(shard);
  const double scale = std::exp2(static_cast<double>(at * 7919 % 17) - 8.0);
  return static_cast<T>(scale * random_normal(3, Purpose::kTest, 0, at));
}

// The definition: adjacent parts in pairs, level by level.
template <typename T>
T tree_sum(std::vector<T> parts) {
  if (parts.size() == 1) return parts.front();
  std::vector<T> level;
  for (size_t i = 0; i + 1 < parts.size(); i += 2) level.push_back(parts[i] + parts[i + 1]);
  if (parts.size() % 2 == 1) level.push_back(parts.back());
  return tree_sum(level);
}

template <typename T>
void expect_ordered_sums(World& world) {
  Stream stream;
  const int held = kVirtualShards / world.size();
  // Nothing, fewer than ranks, odd, more than one piece.
  for (const int64_t elements : {0, 1, 5, 1001, 65536 + 77}) {
    std::vector<T> parts, out(static_cast<size_t>(elements), T{-1});
    for (int part = 0; part < held; ++part) {
      for (int64_t i = 0; i < elements; ++i) parts.push_back(shard_value<T>(world.rank() * held + part, i));
    }
    const int64_t scratch_elements = ordered_sum_scratch_elements(elements, kVirtualShards, world.size());
    std::vector<T> scratch(static_cast<size_t>(scratch_elements) + 1, T{42});
    ordered_all_reduce(*world.data, Matrix<const T>{parts.data(), {held, elements}}, kVirtualShards,
                       Vector<T>{out.data(), {elements}}, Vector<T>{scratch.data(), {scratch_elements}},
                       stream);
    EXPECT_EQ(scratch.back(), T{42});
    int64_t wrong = 0;
    const int64_t step = elements > 2000 ? 13 : 1;
    for (int64_t i = 0; i < elements; i += step) {
      std::vector<T> column;
      for (int shard = 0; shard < kVirtualShards; ++shard) column.push_back(shard_value<T>(shard, i));
      wrong += out[static_cast<size_t>(i)] != tree_sum(column);
    }
    EXPECT_EQ(wrong, 0) << "of " << elements << " at " << world.size() << " ranks";
  }
}

inline void expect_ordered_scalar_sum(World& world) {
  Stream stream;
  std::vector<double> all, own;
  for (int shard = 0; shard < kVirtualShards; ++shard) all.push_back(shard_value<double>(shard, 9));
  const auto held = kVirtualShards / world.size();
  own.assign(all.begin() + world.rank() * held, all.begin() + (world.rank() + 1) * held);
  EXPECT_EQ(ordered_sum(*world.data, own, kVirtualShards, stream), tree_sum(all));
}

}  // namespace orthant::testing
