#include "models/adapt/unpack_weights.h"

#include <gtest/gtest.h>

#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

TEST(UnpackWeights, GivesTheTransposedMatrixOverOddShapes) {
  Memory memory;
  Stream stream;
  for (const int64_t columns : {1, 15, 16, 33}) {
    for (const int64_t depth : {1, 7, 40}) {
      testing::NormalMatrix matrix(columns, depth, 1), into(depth, columns, 2);
      kernels::PackedWeights weights(memory, "test", columns, depth);
      weights.pack(matrix.view(), stream);
      models::unpack_transposed(weights, into.view());
      for (int64_t c = 0; c < columns; ++c) {
        for (int64_t k = 0; k < depth; ++k) ASSERT_EQ(into.view().row(k)[c], matrix.view().row(c)[k]);
      }
    }
  }
}

}  // namespace
}  // namespace orthant
