// What an ordered sum gives, whatever the number of ranks: checked against the tree written out by recursion.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "runtime/comm/world.h"
#include "runtime/core/rng.h"
#include "sae/dictionary/ordered_sum.h"

namespace orthant::testing {

using sae::OrderedSum;

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

inline void expect_ordered_sums(World& world) {
  Stream stream;
  Memory memory;
  const int held = kVirtualShards / world.size();
  // Nothing, fewer than ranks, odd, more than one piece; the last ones shorter than there is room for.
  OrderedSum longest(memory, "test", 65536 + 77, kVirtualShards, *world.data);
  for (const int64_t elements : {0, 1, 5, 1001, 65536 + 77}) {
    std::vector<float> parts, out(static_cast<size_t>(elements), -1.0f), again(out);
    for (int part = 0; part < held; ++part) {
      for (int64_t i = 0; i < elements; ++i)
        parts.push_back(shard_value<float>(world.rank() * held + part, i));
    }
    const Matrix<const float> own{parts.data(), {held, elements}};
    OrderedSum exact(memory, "test", elements, kVirtualShards, *world.data);
    exact.all_reduce(own, Vector<float>{out.data(), {elements}}, stream);
    longest.all_reduce(own, Vector<float>{again.data(), {elements}}, stream);
    EXPECT_EQ(again, out);
    int64_t wrong = 0;
    const int64_t step = elements > 2000 ? 13 : 1;
    for (int64_t i = 0; i < elements; i += step) {
      std::vector<float> column;
      for (int shard = 0; shard < kVirtualShards; ++shard) column.push_back(shard_value<float>(shard, i));
      wrong += out[static_cast<size_t>(i)] != tree_sum(column);
    }
    EXPECT_EQ(wrong, 0) << "of " << elements << " at " << world.size() << " ranks";
  }
}

inline void expect_ordered_scalar_sum(World& world) {
  Stream stream;
  Memory memory;
  std::vector<double> all, own;
  for (int shard = 0; shard < kVirtualShards; ++shard) all.push_back(shard_value<double>(shard, 9));
  const auto held = kVirtualShards / world.size();
  own.assign(all.begin() + world.rank() * held, all.begin() + (world.rank() + 1) * held);
  OrderedSum sum(memory, "test", 0, kVirtualShards, *world.data);
  EXPECT_EQ(sum.total(own, stream), tree_sum(all));
}

}  // namespace orthant::testing
