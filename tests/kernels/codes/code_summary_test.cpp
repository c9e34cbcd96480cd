#include "kernels/codes/code_summary.h"

#include <gtest/gtest.h>

#include <limits>

namespace orthant::kernels {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Three rows over latents 0 to 5; the second is empty.
struct SmallCodes {
  std::vector<int64_t> offsets = {0, 3, 3, 6};
  std::vector<int32_t> latents = {0, 2, 5, 1, 2, 4};
  std::vector<float> values = {0.5f, 0.0f, 2.0f, kNan, 0.25f, 1.0f};
  [[nodiscard]] CodesView view() {
    return {{offsets.data(), {4}}, {latents.data(), {6}}, {values.data(), {6}}};
  }
};

TEST(CodeSummary, MarksWhatFiredInTheSlice) {
  SmallCodes codes;
  Stream stream;
  const auto marks = [&](int64_t first, int64_t count, bool by_selection) {
    std::vector<int32_t> fired(static_cast<size_t>(count), 0);
    mark_fired(codes.view(), first, by_selection, {fired.data(), {count}}, stream);
    return fired;
  };
  EXPECT_EQ(marks(0, 6, false), (std::vector<int32_t>{1, 0, 1, 0, 1, 1})) << "NaN and 0 do not fire";
  EXPECT_EQ(marks(0, 6, true), (std::vector<int32_t>{1, 1, 1, 0, 1, 1}));
  EXPECT_EQ(marks(4, 2, false), (std::vector<int32_t>{1, 1}));
  EXPECT_EQ(marks(6, 3, true), (std::vector<int32_t>{0, 0, 0}));
  std::vector<int32_t> before = {0, 1};
  mark_fired(codes.view(), 2, false, {before.data(), {2}}, stream);
  EXPECT_EQ(before, (std::vector<int32_t>{1, 1})) << "earlier marks stay";
}

TEST(CodeSummary, SmallestOfRowsArePositive) {
  SmallCodes codes;
  Stream stream;
  std::vector<float> smallest(3);
  smallest_of_rows(codes.view(), {smallest.data(), {3}}, stream);
  EXPECT_EQ(smallest, (std::vector<float>{0.5f, kInfinity, 0.25f}));
}

TEST(CodeSummary, SumsOfLatents) {
  SmallCodes codes;
  codes.values[3] = 8.0f;
  Stream stream;
  Memory memory;
  LatentOrder order(memory, 6, 6);
  sort_by_latent(codes.view(), 0, order.view(), stream);
  std::vector<double> sums(6, 7.0);
  latent_value_sums(codes.view(), order.view(), {sums.data(), {6}}, stream);
  EXPECT_EQ(sums, (std::vector<double>{0.5, 8.0, 0.25, 0.0, 1.0, 2.0}));
}

}  // namespace
}  // namespace orthant::kernels
