// What builds without cuSPARSELt do.
#include <gtest/gtest.h>

#include "kernels/sparse/two_of_four.h"
#include "tests/support/code_of.h"

namespace orthant {
namespace {

TEST(TwoOfFour, SaysThatTheBuildHasNoLibrary) {
  EXPECT_FALSE(kernels::cuda::has_two_of_four());
  Memory memory;
  EXPECT_EQ(testing::code_of([&] { kernels::cuda::TwoOfFourProduct(memory, 16, 16, 16); }),
            ExitCode::kDevice);
}

}  // namespace
}  // namespace orthant
