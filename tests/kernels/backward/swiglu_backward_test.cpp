#include "kernels/backward/swiglu_backward.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/ref/swiglu.h"
#include "tests/support/central_difference.h"
#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

using testing::NormalMatrix;

TEST(SwigluBackward, IsTheSlopeOfTheReference) {
  NormalMatrix gate(7, 31, 1, 3.0f), up(7, 31, 2), gradient(7, 31, 3), of_gate(7, 31, 4), of_up(7, 31, 5);
  Stream stream;
  kernels::swiglu_backward(gate.view(), up.view(), gradient.view(), of_gate.view(), of_up.view(), stream);
  const auto loss = [&] {
    return testing::weighted_sum(kernels::ref::swiglu(gate.view(), up.view()), gradient.values());
  };
  for (size_t i = 0; i < gate.values().size(); i += 3) {
    const double slope = testing::central_difference(gate.values()[i], 1e-3, loss);
    ASSERT_NEAR(of_gate.values()[i], slope, 5e-6 * (1.0 + std::abs(slope)));
    ASSERT_NEAR(of_up.values()[i], testing::central_difference(up.values()[i], 1e-3, loss), 1e-5);
  }
}

TEST(SwigluBackward, WorksInPlaceAndStaysFiniteForExtremeGates) {
  std::vector<float> gate = {-1e4f, -100.0f, -88.0f, 0.0f, 88.0f, 1e4f}, up(6, 1.0f), gradient(6, 1.0f);
  const std::vector<float> gates = gate;
  Stream stream;
  const Matrix<float> in_gate{gate.data(), {1, 6}}, in_up{up.data(), {1, 6}};
  kernels::swiglu_backward(in_gate, in_up, {gradient.data(), {1, 6}}, in_gate, in_up, stream);
  for (size_t i = 0; i < gate.size(); ++i) {
    EXPECT_NEAR(gate[i], gates[i] > 0.0f ? 1.0f : gates[i] < 0.0f ? 0.0f : 0.5f, 1e-6f) << gates[i];
    EXPECT_NEAR(up[i], gates[i] > 0.0f ? gates[i] : 0.0f, 1e-30f) << gates[i];
  }
}

}  // namespace
}  // namespace orthant
