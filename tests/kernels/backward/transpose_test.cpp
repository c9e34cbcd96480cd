#include "kernels/backward/transpose.h"

#include <gtest/gtest.h>

#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

TEST(Transpose, TurnsRowsIntoColumnsOverOddShapes) {
  for (const int64_t rows : {0, 1, 31, 33, 300}) {
    for (const int64_t columns : {1, 32, 257}) {
      testing::NormalMatrix from(rows, columns, 1), into(columns, rows, 2);
      Stream stream;
      kernels::transpose(from.view(), into.view(), stream);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < columns; ++c) ASSERT_EQ(into.view().row(c)[r], from.view().row(r)[c]);
      }
    }
  }
}

}  // namespace
}  // namespace orthant
