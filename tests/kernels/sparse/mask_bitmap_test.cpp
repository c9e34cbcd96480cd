#include "kernels/sparse/mask_bitmap.h"

#include <gtest/gtest.h>

#include "runtime/core/error.h"
#include "tests/support/kept_list.h"
#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

using kernels::mask_bytes;
using testing::KeptList;
using testing::NormalMatrix;

TEST(MaskBitmap, GivesBackWhatWasKept) {
  for (const int64_t width : {0, 4, 12, 16, 20, 576}) {
    NormalMatrix x(1, width, 1);
    const KeptList kept({x.values().data(), {width}}, 2, 4);
    std::vector<uint8_t> bitmap(static_cast<size_t>(mask_bytes(width)), 0xff);
    kernels::encode_mask(kept.inputs, width, bitmap);
    EXPECT_EQ(kernels::decode_mask(bitmap, width), kept.inputs) << width;
  }
}

TEST(MaskBitmap, HasTheLowestElementInTheLowestBit) {
  std::vector<uint8_t> bitmap(2);
  kernels::encode_mask(std::vector<int32_t>{0, 3, 8}, 9, bitmap);
  EXPECT_EQ(bitmap, (std::vector<uint8_t>{0b1001, 0b1}));
}

TEST(MaskBitmap, RefusesElementsBesideIt) {
  std::vector<uint8_t> bitmap(2);
  EXPECT_THROW(kernels::encode_mask(std::vector<int32_t>{9}, 9, bitmap), std::exception);
}

TEST(MaskCost, IsThatOfThePublishedPatterns) {
  struct Row {
    int64_t keep, group;
    double patterns, entropy, whole_bits, indices;
  };
  constexpr Row kRows[] = {{2, 4, 6, 0.646, 0.75, 1.0},
                           {4, 8, 70, 0.766, 0.875, 1.5},
                           {8, 16, 12870, 0.853, 0.875, 2.0},
                           {16, 32, 601080390, 0.911, 0.9375, 2.5}};
  for (const Row& row : kRows) {
    const kernels::MaskCost cost = kernels::mask_cost(row.keep, row.group);
    EXPECT_EQ(cost.patterns, row.patterns);
    EXPECT_NEAR(cost.entropy, row.entropy, 5e-4);
    EXPECT_EQ(cost.whole_bits, row.whole_bits);
    EXPECT_EQ(cost.bitmap, 1.0);
    EXPECT_EQ(cost.indices, row.indices);
  }
  EXPECT_EQ(kernels::mask_cost(4, 4).entropy, 0.0);
}

}  // namespace
}  // namespace orthant
