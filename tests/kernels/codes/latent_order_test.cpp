#include <gtest/gtest.h>

#include <utility>

#include "kernels/codes/latent_step.h"
#include "tests/support/random_codes.h"

namespace orthant::kernels {
namespace {

using testing::random_codes;

struct Sorted {
  std::vector<int64_t> offsets;
  std::vector<std::pair<int32_t, int64_t>> places;  // row, entry
  bool operator==(const Sorted&) const = default;
};

Sorted sorted_by_kernel(CodesView codes, int64_t first, int64_t count) {
  Stream stream;
  LatentOrder order(testing::test_memory(), count, codes.capacity());
  const LatentOrderView view = order.view();
  sort_by_latent(codes, first, view, stream);
  Sorted sorted;
  sorted.offsets.assign(view.offsets.data, view.offsets.data + count + 1);
  for (int64_t i = 0; i < sorted.offsets.back(); ++i) {
    sorted.places.emplace_back(view.rows.data[i], view.entries.data[i]);
  }
  return sorted;
}

Sorted sorted_naively(CodesView codes, int64_t first, int64_t count) {
  Sorted sorted;
  for (int64_t latent = first; latent < first + count; ++latent) {
    sorted.offsets.push_back(static_cast<int64_t>(sorted.places.size()));
    for (int64_t r = 0; r < codes.rows(); ++r) {
      for (int64_t e = codes.row_offsets.data[r]; e < codes.row_offsets.data[r + 1]; ++e) {
        if (codes.latents.data[e] == latent) sorted.places.emplace_back(static_cast<int32_t>(r), e);
      }
    }
  }
  sorted.offsets.push_back(static_cast<int64_t>(sorted.places.size()));
  return sorted;
}

TEST(SortByLatent, GivesRowsAscendingWithinEachLatentForAnyThreadsAndSlices) {
  Codes codes = random_codes(50, 31, 9, 1);
  for (const int threads : {1, 2, 3}) {
    testing::with_threads(threads, [&] {
      for (const auto& [first, count] :
           std::vector<std::pair<int64_t, int64_t>>{{0, 31}, {0, 10}, {10, 21}, {30, 1}, {31, 5}, {4, 0}}) {
        EXPECT_EQ(sorted_by_kernel(codes.view(), first, count), sorted_naively(codes.view(), first, count))
            << threads << " threads, " << first << "+" << count;
      }
    });
  }
}

TEST(SortByLatent, NoRowsAndNoEntriesGiveEmptyLatents) {
  Codes none = random_codes(0, 5, 3, 1), empty = random_codes(3, 5, 0, 1);
  const Sorted expected{std::vector<int64_t>(6, 0), {}};
  EXPECT_EQ(sorted_by_kernel(none.view(), 0, 5), expected);
  EXPECT_EQ(sorted_by_kernel(empty.view(), 0, 5), expected);
}

TEST(SortByLatent, AnOrderWithoutRoomIsRefused) {
  Stream stream;
  Codes codes = random_codes(6, 5, 3, 1);
  LatentOrder order(testing::test_memory(), 5, codes.view().entries() - 1);
  EXPECT_THROW(sort_by_latent(codes.view(), 0, order.view(), stream), Error);
}

}  // namespace
}  // namespace orthant::kernels
