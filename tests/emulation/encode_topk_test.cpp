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
  int64_t rows, latents, depth, k;
  cuda::EncodeTiles tiles;
};

constexpr Shape kShapes[] = {{1, 1, 1, 1, {3, 1028}},    {4, 7, 3, 2, {3, 4}},
                             {5, 70, 9, 5, {2, 8}},      {2, 1300, 5, 33, {4, 520}},
                             {3, 40, 2, 40, {2, 12}},    {2, 30, 4, 100, {1, 16}},
                             {1, 4500, 3, 7, {1, 4500}}, {3, 300, 6, 64, {1024, 8192}}};

using EncodeTopKKernels = testing::KernelShapes<Shape>;

TEST_P(EncodeTopKKernels, SelectWhatTheCpuSelects) {
  const auto [rows, latents, depth, k, tiles] = GetParam();
  for (const bool is_plain : {true, false}) {
    EncodeProblem problem(rows, latents, depth, 7);
    problem.tiles = tiles;
    if (!is_plain) {
      problem.bias = whole_values(latents, 11, -3, 0.5f);
      problem.scale = whole_values(latents, 12, 0, 0.25f);
      problem.first_latent = 1000;
    }
    const EncodeResult expected = problem.topk_on_cpu(k);
    for (const Precision precision : {Precision::kF32, Precision::kBF16, Precision::kTF32}) {
      problem.precision = precision;
      const auto work = [&] { return problem.topk_by_kernels(k, stream_); };
      const EncodeResult found = precision == Precision::kF32 ? in_every_order(work) : work();
      EXPECT_TRUE(same_bytes(found, expected)) << name_of(precision) << (is_plain ? " plain" : " scaled");
    }
  }
}

TEST_P(EncodeTopKKernels, SelectWhatTheReferenceSelects) {
  const auto [rows, latents, depth, k, tiles] = GetParam();
  EncodeProblem problem(rows, latents, depth, 21);
  problem.tiles = tiles;
  const auto [offsets, found, values, c, l, v] = problem.topk_by_kernels(k, stream_);
  const std::vector<double> activations = ref::activations(problem.input.view(), problem.weights.view(), {});
  for (int64_t r = 0; r < rows; ++r) {
    const auto first = activations.begin() + r * latents;
    const auto expected = ref::topk({first, first + latents}, {}, k);
    const int64_t at = offsets[static_cast<size_t>(r)];
    ASSERT_EQ(offsets[static_cast<size_t>(r) + 1] - at, static_cast<int64_t>(expected.size()));
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(found[static_cast<size_t>(at) + i], expected[i].latent);
      EXPECT_EQ(values[static_cast<size_t>(at) + i], expected[i].value);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, EncodeTopKKernels, ::testing::ValuesIn(kShapes));

using EncodeTopKKernel = testing::KernelTest;

TEST_F(EncodeTopKKernel, NeedsItsBarriers) {
  if (!testing::can_leave_out_barriers()) GTEST_SKIP() << "barriers stay on a device";
  EncodeProblem problem(2, 1300, 5, 7);
  EXPECT_TRUE(testing::needs_its_barriers([&] { return problem.topk_by_kernels(33, stream_); }));
}

TEST_F(EncodeTopKKernel, TilesDoNotMatter) {
  EncodeProblem problem(7, 90, 5, 3);
  problem.bias = whole_values(90, 11, -3, 0.5f);
  const EncodeResult expected = problem.topk_by_kernels(9, stream_);
  for (const cuda::EncodeTiles tiles :
       {cuda::EncodeTiles{1, 4}, cuda::EncodeTiles{2, 88}, cuda::EncodeTiles{7, 92}}) {
    problem.tiles = tiles;
    EXPECT_TRUE(same_bytes(problem.topk_by_kernels(9, stream_), expected)) << tiles.latents;
  }
}

TEST_F(EncodeTopKKernel, FillsUpWithTheLowestZeros) {
  EncodeProblem problem(5, 60, 1, 3);
  problem.tiles = {2, 8};
  problem.bias.assign(60, -100.0f);
  for (const size_t latent : {2, 3, 40, 59}) problem.bias[latent] = 50.0f;
  EXPECT_TRUE(same_bytes(in_every_order([&] { return problem.topk_by_kernels(11, stream_); }),
                         problem.topk_on_cpu(11)));
  problem.bias.assign(60, -100.0f);
  EXPECT_TRUE(same_bytes(problem.topk_by_kernels(3, stream_), problem.topk_on_cpu(3)));
}

TEST_F(EncodeTopKKernel, KeepsTheActivationsOfLatentsWhoseScaleIsZero) {
  EncodeProblem problem(3, 20, 2, 5);
  problem.tiles = {2, 8};
  problem.bias.assign(20, 30.0f);
  problem.scale.assign(20, 0.0f);
  problem.scale[13] = 1.0f;
  EXPECT_TRUE(same_bytes(problem.topk_by_kernels(12, stream_), problem.topk_on_cpu(12)));
}

TEST_F(EncodeTopKKernel, NaNComesFirstAndTiesGoToTheLowestLatent) {
  EncodeProblem problem(4, 50, 2, 9);
  problem.tiles = {3, 12};
  problem.weights.zero();
  problem.bias.assign(50, 1.0f);
  problem.bias[31] = problem.bias[47] = std::numeric_limits<float>::quiet_NaN();
  problem.bias[20] = 2.0f;
  const EncodeResult found = in_every_order([&] { return problem.topk_by_kernels(5, stream_); });
  EXPECT_TRUE(same_bytes(found, problem.topk_on_cpu(5)));
  const std::vector<int32_t> first_row(std::get<1>(found).begin(), std::get<1>(found).begin() + 5);
  EXPECT_EQ(first_row, (std::vector<int32_t>{0, 1, 20, 31, 47}));
  // More NaN than are wanted.
  EXPECT_TRUE(same_bytes(problem.topk_by_kernels(1, stream_), problem.topk_on_cpu(1)));
}

TEST_F(EncodeTopKKernel, NumbersLatentsAsAsked) {
  EncodeProblem problem(3, 30, 4, 13);
  for (int32_t i = 0; i < 30; ++i) problem.latent_numbers.push_back(7 * i + 2);
  EXPECT_TRUE(same_bytes(problem.topk_by_kernels(4, stream_), problem.topk_on_cpu(4)));
}

TEST_F(EncodeTopKKernel, NoRowsNoLatentsAndNoneWantedAreFine) {
  for (const auto& [rows, latents, k] : {std::tuple(0, 9, 3), std::tuple(3, 0, 3), std::tuple(3, 9, 0)}) {
    const EncodeProblem problem(rows, latents, 4, 1);
    const EncodeResult found = problem.topk_by_kernels(k, stream_);
    EXPECT_EQ(std::get<0>(found), std::vector<int64_t>(static_cast<size_t>(rows) + 1, 0));
  }
}

}  // namespace
}  // namespace orthant::kernels
