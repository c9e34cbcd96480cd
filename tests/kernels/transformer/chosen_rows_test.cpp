#include "kernels/transformer/chosen_rows.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/ref/chosen_rows.h"
#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

TEST(GatherRows, CopiesTheRowsThatAreChosen) {
  testing::NormalMatrix table(11, 5, 1), out(4, 5, 2);
  const std::vector<int32_t> chosen = {10, 0, 3, 3};
  Stream stream;
  kernels::gather_rows(table.view(), {chosen.data(), {4}}, out.view(), stream);
  const auto expected = kernels::ref::gather_rows(table.view(), {chosen.data(), {4}});
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(out.values()[i], expected[i]);
}

TEST(GatherRows, RefusesARowOutsideTheTable) {
  testing::NormalMatrix table(11, 5, 1), out(1, 5, 2);
  Stream stream;
  for (const int32_t row : {-1, 11}) {
    EXPECT_THROW(kernels::gather_rows(table.view(), {&row, {1}}, out.view(), stream), Error);
  }
}

TEST(ScatterRows, PutsRowsWhereTheyWereChosenAndLeavesTheOthers) {
  testing::NormalMatrix from(3, 5, 1), into(11, 5, 2);
  const std::vector<int32_t> chosen = {10, 0, 3};
  const auto expected =
      kernels::ref::scatter_rows(from.view(), {chosen.data(), {3}}, Matrix<const float>(into.view()));
  Stream stream;
  kernels::scatter_rows(from.view(), {chosen.data(), {3}}, into.view(), stream);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(into.values()[i], expected[i]);
}

TEST(ScatterRows, RefusesARowOutsideTheMatrix) {
  testing::NormalMatrix from(1, 5, 1), into(11, 5, 2);
  Stream stream;
  for (const int32_t row : {-1, 11}) {
    EXPECT_THROW(kernels::scatter_rows(from.view(), {&row, {1}}, into.view(), stream), Error);
  }
}

}  // namespace
}  // namespace orthant
