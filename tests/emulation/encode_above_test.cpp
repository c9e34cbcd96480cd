#include <gtest/gtest.h>

#include <limits>

#include "kernels/ref/encode.h"
#include "tests/emulation/encode_problem.h"

namespace orthant::kernels {
namespace {

using testing::EncodeProblem;
using testing::EncodeResult;
using testing::in_every_order;
using testing::same_bytes;
using testing::whole_values;

struct Shape {
  int64_t rows, latents, depth;
  float threshold;
  cuda::EncodeTiles tiles;
};

// The last but one has more blocks than a window.
constexpr Shape kShapes[] = {{1, 1, 1, 0.0f, {3, 1028}},  {4, 7, 3, 1.0f, {3, 4}},
                             {5, 70, 9, 4.5f, {2, 8}},    {2, 1300, 5, 3.0f, {4, 520}},
                             {70, 9, 3, 2.0f, {1, 1028}}, {3, 300, 6, 0.0f, {1024, 8192}}};

using EncodeAboveKernels = testing::KernelShapes<Shape>;

TEST_P(EncodeAboveKernels, SelectWhatTheCpuSelects) {
  const auto [rows, latents, depth, threshold, tiles] = GetParam();
  for (const bool is_plain : {true, false}) {
    EncodeProblem problem(rows, latents, depth, 7);
    problem.tiles = tiles;
    if (!is_plain) {
      problem.bias = whole_values(latents, 11, -3, 0.5f);
      problem.scale = whole_values(latents, 12, 0, 0.5f);
      problem.thresholds = whole_values(latents, 13, -3, 2.0f);
      problem.first_latent = 1000;
    }
    const int64_t capacity = rows * latents;
    int64_t expected_entries = 0, entries = 0;
    const EncodeResult expected = problem.above_on_cpu(threshold, capacity, expected_entries);
    for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
      problem.precision = precision;
      const auto work = [&] { return problem.above_by_kernels(threshold, capacity, entries, stream_); };
      const EncodeResult found = precision == Precision::kF32 ? in_every_order(work) : work();
      EXPECT_EQ(entries, expected_entries);
      EXPECT_TRUE(same_bytes(found, expected)) << name_of(precision) << (is_plain ? " plain" : " scaled");
    }
  }
}

TEST_P(EncodeAboveKernels, SelectWhatTheReferenceSelects) {
  const auto [rows, latents, depth, threshold, tiles] = GetParam();
  EncodeProblem problem(rows, latents, depth, 21);
  problem.tiles = tiles;
  int64_t entries = 0, at = 0;
  const auto [offsets, found, values, c, l, v] =
      problem.above_by_kernels(threshold, rows * latents, entries, stream_);
  const std::vector<double> activations = ref::activations(problem.input.view(), problem.weights.view(), {});
  for (int64_t r = 0; r < rows; ++r) {
    const auto first = activations.begin() + r * latents;
    ASSERT_EQ(offsets[static_cast<size_t>(r)], at);
    for (const ref::Entry& entry : ref::above({first, first + latents}, {}, threshold, {})) {
      EXPECT_EQ(found[static_cast<size_t>(at)], entry.latent);
      EXPECT_EQ(values[static_cast<size_t>(at)], entry.value);
      ++at;
    }
  }
  EXPECT_EQ(at, entries);
}

INSTANTIATE_TEST_SUITE_P(Shapes, EncodeAboveKernels, ::testing::ValuesIn(kShapes));

using EncodeAboveKernel = testing::KernelTest;

TEST_F(EncodeAboveKernel, NeedsItsBarriers) {
  if (!testing::can_leave_out_barriers()) GTEST_SKIP() << "barriers stay on a device";
  EncodeProblem problem(3, 1300, 5, 7);
  int64_t entries = 0;
  EXPECT_TRUE(
      testing::needs_its_barriers([&] { return problem.above_by_kernels(3.0f, 3900, entries, stream_); }));
}

TEST_F(EncodeAboveKernel, RowsLongerThanTheirListsAreWrittenStraightToTheirPlace) {
  EncodeProblem problem(7, 700, 2, 5);
  problem.tiles = {2, 200};
  problem.workspace_k = 4;
  // Only one block has such rows: all latents of row 3 are positive.
  problem.bias.assign(700, 0.0f);
  problem.input.zero();
  for (int64_t r = 0; r < 7; ++r) problem.input.view().row(r)[0] = r == 3 ? 3.0f : 0.0f;
  for (int64_t i = 0; i < 700; ++i) problem.weights.view().row(i)[0] = static_cast<float>(1 + i % 3);
  problem.bias[5] = problem.bias[699] = 1.0f;
  int64_t entries = 0, expected_entries = 0;
  const auto work = [&] { return problem.above_by_kernels(0.0f, 800, entries, stream_); };
  EXPECT_TRUE(same_bytes(in_every_order(work), problem.above_on_cpu(0.0f, 800, expected_entries)));
  EXPECT_EQ(entries, 700 + 6 * 2);
  EXPECT_EQ(entries, expected_entries);
}

TEST_F(EncodeAboveKernel, TellsHowManyThereAreWhereTheCapacityIsTooSmall) {
  EncodeProblem problem(9, 700, 3, 5);
  problem.tiles = {2, 200};
  problem.workspace_k = 4;
  int64_t expected = 0, entries = 0;
  (void)problem.above_on_cpu(0.0f, 9 * 700, expected);
  for (const int64_t capacity : {int64_t{0}, int64_t{1}, int64_t{500}, expected - 1, expected}) {
    const auto [offsets, latents, values, c, l, v] =
        problem.above_by_kernels(0.0f, capacity, entries, stream_);
    EXPECT_EQ(entries, expected) << capacity;
    EXPECT_EQ(offsets.back(), expected) << capacity;
  }
}

TEST_F(EncodeAboveKernel, NaNIsAboveEverything) {
  EncodeProblem problem(2, 40, 3, 9);
  problem.bias.assign(40, 0.0f);
  problem.bias[31] = std::numeric_limits<float>::quiet_NaN();
  problem.thresholds.assign(40, 1e9f);
  int64_t entries = 0, expected_entries = 0;
  EXPECT_TRUE(same_bytes(problem.above_by_kernels(1e8f, 80, entries, stream_),
                         problem.above_on_cpu(1e8f, 80, expected_entries)));
  EXPECT_EQ(entries, 2);
}

TEST_F(EncodeAboveKernel, NumbersLatentsAsAsked) {
  EncodeProblem problem(3, 30, 4, 13);
  for (int32_t i = 0; i < 30; ++i) problem.latent_numbers.push_back(7 * i + 2);
  int64_t entries = 0, expected_entries = 0;
  EXPECT_TRUE(same_bytes(problem.above_by_kernels(2.0f, 90, entries, stream_),
                         problem.above_on_cpu(2.0f, 90, expected_entries)));
}

TEST_F(EncodeAboveKernel, NoRowsAndNoLatentsAreFine) {
  for (const auto& [rows, latents] : {std::pair(0, 9), std::pair(3, 0)}) {
    const EncodeProblem problem(rows, latents, 4, 1);
    int64_t entries = -1;
    const EncodeResult found = problem.above_by_kernels(0.0f, 5, entries, stream_);
    EXPECT_EQ(std::get<0>(found), std::vector<int64_t>(static_cast<size_t>(rows) + 1, 0));
    EXPECT_EQ(entries, 0);
  }
}

}  // namespace
}  // namespace orthant::kernels
