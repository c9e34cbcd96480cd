#include "kernels/codes/group_sums.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/random_codes.h"

namespace orthant::kernels {
namespace {

using testing::random_codes;
using testing::with_threads;

struct Sums {
  Sums(int64_t latents, int64_t groups)
      : values(testing::test_memory(), "test", {latents, groups}),
        rows(testing::make_vector<int64_t>(groups)),
        fired(testing::make_vector<int64_t>(latents)),
        max(testing::make_vector<float>(latents)),
        max_row(testing::make_vector<int64_t>(latents)) {
    values.zero();
    for (int64_t& row : max_row.view().span()) row = -1;
  }
  [[nodiscard]] GroupSums view() {
    return {values.view(), rows.view(), fired.view(), max.view(), max_row.view()};
  }
  bool operator==(const Sums& other) const {
    return testing::same_bits(values.view(), other.values.view()) &&
           testing::same_bits(rows.view(), other.rows.view()) &&
           testing::same_bits(fired.view(), other.fired.view()) &&
           testing::same_bits(max.view(), other.max.view()) &&
           testing::same_bits(max_row.view(), other.max_row.view());
  }
  Tensor<double, 2> values;
  Tensor<int64_t, 1> rows, fired;
  Tensor<float, 1> max;
  Tensor<int64_t, 1> max_row;
};

std::vector<uint64_t> random_masks(int64_t rows, int groups) {
  std::vector<uint64_t> masks;
  for (int64_t r = 0; r < rows; ++r) {
    const uint64_t draw = random_u64(9, Purpose::kTest, 3, static_cast<uint64_t>(r));
    masks.push_back(r % 6 == 5 ? 0 : draw >> (64 - groups));
  }
  return masks;
}

Vector<const uint64_t> view_of(const std::vector<uint64_t>& masks) {
  return {masks.data(), {static_cast<int64_t>(masks.size())}, kCpu};
}

struct Shape {
  int64_t rows, latents, most;
  int groups;
};

class GroupSumsShapes : public ::testing::TestWithParam<Shape> {};

TEST_P(GroupSumsShapes, MatchesTheFormula) {
  const auto [rows, latents, most, groups] = GetParam();
  Codes codes = random_codes(rows, latents, most, 4);
  const CodesView view = codes.view();
  const std::vector<uint64_t> masks = random_masks(rows, groups);
  Sums found(latents, groups);
  add_group_sums(view, view_of(masks), 0, 100, found.view());

  Sums expected(latents, groups);
  const GroupSums e = expected.view();
  for (int64_t r = 0; r < rows; ++r) {
    for (int g = 0; g < groups; ++g)
      e.rows.data[g] += static_cast<int64_t>(masks[static_cast<size_t>(r)] >> g & 1);
    for (int64_t n = view.row_offsets.data[r]; n < view.row_offsets.data[r + 1]; ++n) {
      const int32_t latent = view.latents.data[n];
      const float value = view.values.data[n];
      if (masks[static_cast<size_t>(r)] == 0 || value <= 0.0f) continue;
      for (int g = 0; g < groups; ++g) {
        if ((masks[static_cast<size_t>(r)] >> g & 1) != 0) e.values.row(latent)[g] += value;
      }
      ++e.fired.data[latent];
      if (value > e.max.data[latent]) {
        e.max.data[latent] = value;
        e.max_row.data[latent] = 100 + r;
      }
    }
  }
  EXPECT_TRUE(found == expected);
}

TEST_P(GroupSumsShapes, SameBitsWithAnyThreadsAndInPieces) {
  const auto [rows, latents, most, groups] = GetParam();
  Codes codes = random_codes(rows, latents, most, 4);
  const std::vector<uint64_t> masks = random_masks(rows, groups);
  Sums whole(latents, groups);
  with_threads(1, [&] { add_group_sums(codes.view(), view_of(masks), 0, 0, whole.view()); });
  for (const int threads : {2, 3, 7}) {
    Sums pieces(latents, groups);
    with_threads(threads, [&] {
      const int64_t half = rows / 2;
      add_group_sums(codes.view().row_range(0, half), view_of(masks).rows(0, half), 0, 0, pieces.view());
      add_group_sums(codes.view().row_range(half, rows - half), view_of(masks).rows(half, rows - half), 0,
                     half, pieces.view());
    });
    EXPECT_TRUE(pieces == whole) << threads;
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, GroupSumsShapes,
                         ::testing::Values(Shape{1, 1, 1, 1}, Shape{13, 7, 4, 3}, Shape{50, 200, 30, 12},
                                           Shape{40, 33, 20, 64}));

TEST(GroupSums, TheFirstOfEqualActivationsIsTheLargest) {
  Codes codes(testing::test_memory(), 3, 3);
  const CodesView view = codes.view();
  for (int64_t r = 0; r <= 3; ++r) view.row_offsets.data[r] = r;
  for (int r = 0; r < 3; ++r) {
    view.latents.data[r] = 12;
    view.values.data[r] = r == 0 ? 1.0f : 2.0f;
  }
  Sums sums(5, 1);
  add_group_sums(view, view_of({1, 1, 1}), 10, 0, sums.view());
  EXPECT_EQ(sums.max_row.data()[2], 1);
  EXPECT_EQ(sums.values.data()[2], 5.0);
  EXPECT_EQ(sums.max_row.data()[3], -1);
}

TEST(GroupSums, NoRowsAddNothing) {
  Codes codes(testing::test_memory(), 0, 0);
  codes.view().row_offsets.data[0] = 0;
  Sums sums(5, 2), untouched(5, 2);
  add_group_sums(codes.view(), view_of({}), 0, 0, sums.view());
  EXPECT_TRUE(sums == untouched);
}

}  // namespace
}  // namespace orthant::kernels
