#include "kernels/dense/gather_rows.h"

#include <gtest/gtest.h>

#include "tests/support/random_matrix.h"

namespace orthant {
namespace {

TEST(GatherRows, AreThoseOfTheListInItsOrder) {
  const testing::HostMatrix from = testing::random_matrix(7, 5, 1);
  const std::vector<int32_t> chosen = {6, 0, 0, 3};
  testing::HostMatrix out(4, 5);
  Stream stream;
  kernels::gather_rows(from.view(), {chosen.data(), {4}}, out.view(), stream);
  for (int64_t r = 0; r < 4; ++r) {
    for (int64_t c = 0; c < 5; ++c) EXPECT_EQ(out.at(r, c), from.at(chosen[static_cast<size_t>(r)], c));
  }
}

TEST(GatherRows, OfAnEmptyListAreNone) {
  const testing::HostMatrix from = testing::random_matrix(2, 5, 1);
  testing::HostMatrix out(0, 5);
  Stream stream;
  kernels::gather_rows(from.view(), {}, out.view(), stream);
}

}  // namespace
}  // namespace orthant
