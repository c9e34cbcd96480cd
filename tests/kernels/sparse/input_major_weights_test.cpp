#include "kernels/sparse/input_major_weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/dense/round_bf16.h"
#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

using kernels::InputMajorWeights;
using kernels::WeightFormat;
using testing::NormalMatrix;

std::vector<float> unpacked(NormalMatrix& weights, WeightFormat format) {
  const Matrix<float> view = weights.view();
  Memory memory;
  Stream stream;
  InputMajorWeights packed(memory, "weights", view.shape[0], view.shape[1], format);
  EXPECT_EQ(memory.allocated_bytes(), packed.bytes());
  packed.pack(view, stream);
  std::vector<float> values(weights.values().size());
  packed.unpack({values.data(), view.shape});
  return values;
}

TEST(InputMajorWeights, KeepF32AsItIs) {
  for (const int64_t outputs : {0, 1, 63, 64, 65, 200}) {
    for (const int64_t inputs : {0, 1, 17, 64, 130}) {
      NormalMatrix weights(outputs, inputs, 1);
      EXPECT_EQ(unpacked(weights, WeightFormat::kF32), weights.values()) << outputs << " " << inputs;
    }
  }
}

TEST(InputMajorWeights, RoundBf16AsDenseProductsDo) {
  NormalMatrix weights(70, 33, 2);
  weights.values()[5] = -0.0f;
  weights.values()[6] = 1e-41f;
  std::vector<float> expected = weights.values();
  kernels::round_bf16(expected);
  EXPECT_EQ(unpacked(weights, WeightFormat::kBF16), expected);
}

TEST(InputMajorWeights, KeepQ8WithinHalfAStepOfTheLargestOfItsBlock) {
  constexpr int64_t kOutputs = 100, kInputs = 70;
  NormalMatrix weights(kOutputs, kInputs, 3, 0.05f);
  for (int64_t o = 32; o < 64; ++o) weights.view().row(o)[4] = 0.0f;
  weights.view().row(70)[9] = 300.0f;  // one large weight spoils only its block
  const std::vector<float> found = unpacked(weights, WeightFormat::kQ8);
  for (int64_t i = 0; i < kInputs; ++i) {
    for (int64_t block = 0; block < kOutputs; block += kernels::kQ8Block) {
      const int64_t end = std::min(kOutputs, block + kernels::kQ8Block);
      float largest = 0.0f;
      for (int64_t o = block; o < end; ++o) largest = std::max(largest, std::abs(weights.view().row(o)[i]));
      // Half a step, and what the largest may lose where its scale is rounded down to f16 (2^-11).
      const float allowed = largest * (0.5f / 127.0f + 1.0f / 2000.0f);
      for (int64_t o = block; o < end; ++o) {
        EXPECT_NEAR(found[static_cast<size_t>(o * kInputs + i)], weights.view().row(o)[i], allowed);
      }
    }
  }
}

TEST(InputMajorWeights, TakeTheBytesOfTheirFormat) {
  Memory memory = Memory::counting();
  const auto bytes = [&](WeightFormat format) {
    return InputMajorWeights(memory, "weights", 4096, 1024, format).bytes();
  };
  EXPECT_EQ(bytes(WeightFormat::kF32), 4096 * 1024 * 4);
  EXPECT_EQ(bytes(WeightFormat::kBF16), 4096 * 1024 * 2);
  EXPECT_EQ(bytes(WeightFormat::kQ8), 4096 * 1024 * 17 / 16);
}

TEST(InputMajorWeights, FormatsHaveNames) {
  EXPECT_EQ(kernels::weight_format_from_name("q8"), WeightFormat::kQ8);
  EXPECT_EQ(kernels::weight_format_from_name(name_of(WeightFormat::kBF16)), WeightFormat::kBF16);
  EXPECT_EQ(kernels::weight_format_from_name("q4"), std::nullopt);
}

}  // namespace
}  // namespace orthant
