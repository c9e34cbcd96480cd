#include "kernels/dense/dense_product.h"

#include <gtest/gtest.h>

#include "kernels/dense/gemm.h"
#include "tests/support/code_of.h"

namespace orthant::kernels {
namespace {

TEST(ProductOrders, OurKernelMultipliesWhereTheOrderAsksOrNothingElseCan) {
  for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
    EXPECT_TRUE(multiplies_by_depth(ProductOrder::kDepth, precision, true));
    EXPECT_TRUE(multiplies_by_depth(ProductOrder::kDepth, precision, false));
    EXPECT_FALSE(multiplies_by_depth(ProductOrder::kLibrary, precision, true));
  }
  EXPECT_TRUE(multiplies_by_depth(ProductOrder::kLibrary, Precision::kF32, false));
  EXPECT_FALSE(multiplies_by_depth(ProductOrder::kLibrary, Precision::kBF16, false));
}

TEST(ProductOrders, Tf32HasNone) {
  Memory planned = Memory::counting({DeviceKind::kCuda, 0});
  std::string why;
  EXPECT_EQ(
      testing::code_of(
          [&] { PackedWeights(planned, "weights", 3, 4, Precision::kTF32, ProductOrder::kDepth); }, &why),
      ExitCode::kConfig);
  EXPECT_NE(why.find("--precision=f32"), std::string::npos) << why;
  PackedWeights(planned, "weights", 3, 4, Precision::kTF32);
  PackedWeights(planned, "weights", 3, 4, Precision::kBF16, ProductOrder::kDepth);
}

}  // namespace
}  // namespace orthant::kernels
