#include "kernels/transformer/embedding.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/ref/embedding.h"
#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

TEST(Embedding, CopiesTheRowsOfTheTokens) {
  testing::NormalMatrix table(11, 5, 1), out(4, 5, 2);
  const std::vector<int32_t> tokens = {10, 0, 3, 3};
  Stream stream;
  kernels::embed(table.view(), {tokens.data(), {4}}, out.view(), stream);
  const auto expected = kernels::ref::embed(table.view(), {tokens.data(), {4}});
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(out.values()[i], expected[i]);
}

TEST(Embedding, RefusesATokenOutsideTheTable) {
  testing::NormalMatrix table(11, 5, 1), out(1, 5, 2);
  Stream stream;
  for (const int32_t token : {-1, 11}) {
    EXPECT_THROW(kernels::embed(table.view(), {&token, {1}}, out.view(), stream), Error);
  }
}

}  // namespace
}  // namespace orthant
