#include "kernels/transformer/swiglu.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/isa/isa.h"
#include "kernels/ref/swiglu.h"
#include "kernels/transformer/transformer_rows.h"
#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

using testing::NormalMatrix;

TEST(Swiglu, MatchesTheReferenceOverOddShapes) {
  for (const int64_t width : {1, 15, 16, 17, 172, 1536}) {
    for (const int64_t rows : {0, 1, 5, 40}) {
      NormalMatrix gate(rows, width, 1, 6.0f), up(rows, width, 2), out(rows, width, 3);
      Stream stream;
      kernels::swiglu(gate.view(), up.view(), out.view(), stream);
      const auto expected = kernels::ref::swiglu(gate.view(), up.view());
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_NEAR(out.values()[i], expected[i], 6e-7 * std::abs(expected[i]) + 1e-30) << i;
      }
    }
  }
}

TEST(Swiglu, StaysFiniteForExtremeGates) {
  std::vector<float> gate = {-1e4f, -100.0f, -88.0f, -87.0f, 0.0f, 88.0f, 1e4f};
  std::vector<float> up(gate.size(), 1.0f), out(gate.size());
  const auto width = static_cast<int64_t>(gate.size());
  Stream stream;
  kernels::swiglu({gate.data(), {1, width}}, {up.data(), {1, width}}, {out.data(), {1, width}}, stream);
  for (size_t i = 0; i < gate.size(); ++i)
    EXPECT_NEAR(out[i], gate[i] > 0 ? gate[i] : 0.0f, 1e-30) << gate[i];
}

TEST(Swiglu, GivesTheSameBitsInEveryInstructionSet) {
  NormalMatrix gate(1, 333, 4, 6.0f), up(1, 333, 5), expected(1, 333, 6), out(1, 333, 7);
  kernels::transformer_rows(kernels::Isa::kScalar)
      .swiglu(gate.view().data, up.view().data, expected.view().data, 333);
  for (const kernels::Isa isa : kernels::supported_isas()) {
    kernels::transformer_rows(isa).swiglu(gate.view().data, up.view().data, out.view().data, 333);
    EXPECT_EQ(out.values(), expected.values()) << name_of(isa);
  }
}

}  // namespace
}  // namespace orthant
