#include "kernels/sparse/retained_energy.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

using kernels::retained_energy;
using testing::NormalMatrix;

constexpr int64_t kRows = 300, kWidth = 1024;

struct Expected {
  int64_t keep, group;
  double squares, magnitudes;
};

void expect_near(NormalMatrix& x, std::span<const Expected> table) {
  for (const Expected& expected : table) {
    const auto found = retained_energy(x.view(), expected.keep, expected.group);
    EXPECT_NEAR(found.squares, expected.squares, 2e-3) << expected.keep << ":" << expected.group;
    EXPECT_NEAR(found.magnitudes, expected.magnitudes, 2e-3) << expected.keep << ":" << expected.group;
  }
}

TEST(RetainedEnergy, OfGaussianActivations) {
  constexpr Expected kTable[] = {{2, 4, .868, .745},
                                 {4, 8, .897, .769},
                                 {8, 16, .9125, .782},
                                 {16, 32, .9205, .789},
                                 {kWidth / 2, kWidth, .929, .797}};
  NormalMatrix x(kRows, kWidth, 1);
  expect_near(x, kTable);
}

TEST(RetainedEnergy, OfLaplaceActivations) {
  constexpr Expected kTable[] = {{2, 4, .920, .792},
                                 {4, 8, .944, .817},
                                 {8, 16, .956, .832},
                                 {16, 32, .961, .839},
                                 {kWidth / 2, kWidth, .967, .847}};
  // A normal number times the root of an exponential one.
  NormalMatrix x(kRows, kWidth, 2), first(kRows, kWidth, 3), second(kRows, kWidth, 4);
  for (size_t i = 0; i < x.values().size(); ++i)
    x.values()[i] *= std::hypot(first.values()[i], second.values()[i]);
  expect_near(x, kTable);
}

TEST(RetainedEnergy, IsAllWhereEverythingIsKeptAndWhereNothingIsThere) {
  NormalMatrix x(3, 8, 5), zeros(3, 8, 5, 0.0f);
  EXPECT_EQ(retained_energy(x.view(), 4, 4).squares, 1.0);
  EXPECT_EQ(retained_energy(zeros.view(), 1, 4).magnitudes, 1.0);
  EXPECT_EQ(retained_energy({nullptr, {0, 8}}, 1, 4).squares, 1.0);
}

TEST(RetainedEnergy, CountsWhatIsKept) {
  std::vector<float> x = {3.0f, -4.0f, 0.0f, 1.0f};
  const auto found = retained_energy({x.data(), {1, 4}}, 1, 2);
  EXPECT_DOUBLE_EQ(found.squares, 17.0 / 26.0);
  EXPECT_DOUBLE_EQ(found.magnitudes, 5.0 / 8.0);
}

}  // namespace
}  // namespace orthant
