#include "kernels/sparse/kept_inputs.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "kernels/isa/isa.h"
#include "kernels/ref/kept_inputs.h"
#include "kernels/sparse/sparse_rows.h"
#include "tests/support/kept_list.h"
#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

using testing::KeptList;
using testing::NormalMatrix;

void expect_reference(Vector<const float> x, int64_t keep, int64_t group) {
  const KeptList found(x, keep, group);
  ASSERT_EQ(found.inputs, kernels::ref::kept_inputs(x, keep, group)) << keep << ":" << group;
  for (size_t i = 0; i < found.inputs.size(); ++i) {
    const float value = x.data[found.inputs[i]];
    ASSERT_EQ(std::memcmp(&found.values[i], &value, sizeof value), 0) << "another value than the input's";
  }
}

TEST(KeptInputs, AreTheLargestOfEveryGroup) {
  for (const int64_t group : {1, 2, 3, 4, 8, 12, 16, 32, 48, 96}) {
    for (const int64_t groups : {0, 1, 2, 3, 5, 9}) {
      NormalMatrix x(1, group * groups, static_cast<uint32_t>(group));
      for (const int64_t keep : {int64_t{0}, int64_t{1}, (group + 1) / 2, group}) {
        expect_reference({x.values().data(), {group * groups}}, keep, group);
      }
    }
  }
}

TEST(KeptInputs, GiveTiesToTheLowestIndex) {
  for (const int64_t group : {4, 8, 16, 32, 64}) {
    NormalMatrix x(1, group * 7, 3);
    // Few magnitudes of both signs, zeros among them.
    for (float& value : x.values()) value = static_cast<float>(static_cast<int>(value * 1.5f));
    expect_reference({x.values().data(), {group * 7}}, group / 2, group);
  }
  const std::vector<float> equal(16, -2.0f);
  const KeptList found({equal.data(), {16}}, 2, 4);
  EXPECT_EQ(found.inputs, (std::vector<int32_t>{0, 1, 4, 5, 8, 9, 12, 13}));
}

TEST(KeptInputs, CountANanAsLargerThanInfinity) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const int64_t group : {4, 8, 16, 32, 64}) {
    std::vector<float> x(static_cast<size_t>(2 * group), 1e30f);
    x[1] = -kInfinity;
    x[2] = std::numeric_limits<float>::quiet_NaN();
    const uint32_t all_ones = 0xffffffff;
    std::memcpy(&x[3], &all_ones, sizeof all_ones);
    expect_reference({x.data(), {2 * group}}, 1, group);
    expect_reference({x.data(), {2 * group}}, 3, group);
  }
}

TEST(KeptInputs, AreTheSameInEveryInstructionSet) {
  constexpr int64_t kWidth = 32 * 19;
  NormalMatrix x(1, kWidth, 5);
  for (const int64_t group : {4, 8, 16, 32}) {
    const KeptList expected({x.values().data(), {kWidth}}, group / 2, group);
    for (const kernels::Isa isa : kernels::supported_isas()) {
      KeptList found(kWidth / 2);
      ASSERT_TRUE(kernels::sparse_rows(isa).keep_largest(x.values().data(), kWidth, group / 2, group,
                                                         found.inputs.data(), found.values.data()));
      EXPECT_EQ(found.inputs, expected.inputs) << name_of(isa) << " " << group;
      EXPECT_EQ(found.values, expected.values) << name_of(isa) << " " << group;
    }
  }
}

}  // namespace
}  // namespace orthant
