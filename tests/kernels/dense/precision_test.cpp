#include "kernels/dense/precision.h"

#include <gtest/gtest.h>

#include "kernels/dense/gemm.h"
#include "kernels/screen/screened_weights.h"
#include "tests/support/code_of.h"

namespace orthant::kernels {
namespace {

TEST(Precision, HasANameAndIsFoundByIt) {
  for (const Precision precision : {Precision::kF32, Precision::kBF16, Precision::kTF32}) {
    EXPECT_EQ(precision_from_name(name_of(precision)), precision);
  }
  EXPECT_EQ(testing::code_of([] { (void)precision_from_name("f16"); }), ExitCode::kConfig);
}

TEST(Precision, Tf32IsOfCudaOnly) {
  Memory memory, on_cuda = Memory::counting({DeviceKind::kCuda, 0});
  const auto tf32 = Precision::kTF32;
  EXPECT_EQ(testing::code_of([&] { PackedWeights(memory, "weights", 3, 4, tf32); }), ExitCode::kConfig);
  EXPECT_EQ(testing::code_of([&] { ScreenedWeights(memory, "weights", 3, 4, tf32); }), ExitCode::kConfig);
  EXPECT_NO_THROW(PackedWeights(on_cuda, "weights", 3, 4, tf32));
}

}  // namespace
}  // namespace orthant::kernels
