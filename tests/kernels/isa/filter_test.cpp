#include "kernels/isa/filter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "kernels/isa/isa.h"
#include "runtime/core/rng.h"

namespace orthant::kernels {
namespace {

std::vector<int64_t> some_keys(int64_t count, int64_t distinct) {
  std::vector<int64_t> keys;
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t word = random_u64(7, Purpose::kTest, 0, static_cast<uint64_t>(i));
    keys.push_back(static_cast<int64_t>(word % static_cast<uint64_t>(distinct)) << 20);
  }
  return keys;
}

int64_t reached(const std::vector<int64_t>& keys, int64_t bound) {
  return std::count_if(keys.begin(), keys.end(), [&](int64_t key) { return key >= bound; });
}

TEST(Filter, NearKthIsReachedByAtLeastKAndFewMore) {
  for (const int64_t count : {1, 7, 64, 321, 448}) {
    const std::vector<int64_t> keys = some_keys(count, int64_t{1} << 40);
    for (const int64_t k : {int64_t{1}, count / 7 + 1, count / 2 + 1, count}) {
      const int64_t near = filter_ops(Isa::kScalar).near_kth(keys.data(), count, k);
      EXPECT_GE(reached(keys, near), k);
      EXPECT_LE(reached(keys, near), k + k / 8 + 4);
      for (const Isa isa : supported_isas()) EXPECT_EQ(filter_ops(isa).near_kth(keys.data(), count, k), near);
    }
  }
}

// Where equal keys leave no bound with few more than k, all of the equal ones stay.
TEST(Filter, NearKthKeepsTies) {
  for (const int64_t distinct : {1, 3}) {
    std::vector<int64_t> keys = some_keys(300, distinct);
    std::vector<int64_t> sorted = keys;
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    for (const int64_t k : {1, 50, 299}) {
      for (const Isa isa : supported_isas()) {
        const int64_t near = filter_ops(isa).near_kth(keys.data(), 300, k);
        EXPECT_LE(near, sorted[static_cast<size_t>(k - 1)]);
        EXPECT_GE(reached(keys, near), k);
      }
    }
  }
}

}  // namespace
}  // namespace orthant::kernels
