// What is selected beside a selection, from the same products.
#include <gtest/gtest.h>

#include "tests/emulation/encode_problem.h"
#include "tests/support/code_of.h"

namespace orthant::kernels {
namespace {

using testing::EncodeProblem;
using testing::EncodeResult;
using testing::in_every_order;
using testing::same_bytes;
using testing::whole_values;

struct Shape {
  int64_t rows, latents, depth, k_beside;
  cuda::EncodeTiles tiles;
};

constexpr Shape kShapes[] = {
    {1, 1, 1, 1, {3, 1028}}, {4, 70, 3, 6, {3, 12}}, {3, 300, 5, 200, {2, 128}}, {2, 2300, 4, 9, {2, 2300}}};

// Every third latent, and none of the third word.
std::vector<uint64_t> some_latents(int64_t latents) {
  std::vector<uint64_t> words(static_cast<size_t>((latents + 63) / 64), 0x9249249249249249u);
  if (words.size() > 2) words[2] = 0;
  return words;
}

EncodeProblem problem_of(const Shape& shape) {
  EncodeProblem problem(shape.rows, shape.latents, shape.depth, 31);
  problem.tiles = shape.tiles;
  problem.k_beside = shape.k_beside;
  problem.eligible = some_latents(shape.latents);
  problem.bias = whole_values(shape.latents, 11, -3, 0.5f);
  // Of the selection only.
  problem.scale = whole_values(shape.latents, 12, 0, 0.25f);
  return problem;
}

using EncodeTopsKernels = testing::KernelShapes<Shape>;

TEST_P(EncodeTopsKernels, BesideTheTopKAreThoseOfTheCpu) {
  const EncodeProblem problem = problem_of(GetParam());
  EXPECT_TRUE(same_bytes(in_every_order([&] { return problem.topk_by_kernels(5, stream_); }),
                         problem.topk_on_cpu(5)));
}

TEST_P(EncodeTopsKernels, BesideAThresholdAreThoseOfTheCpu) {
  EncodeProblem problem = problem_of(GetParam());
  problem.workspace_k = 2;
  const int64_t capacity = problem.rows() * problem.latents();
  int64_t entries = 0, expected_entries = 0;
  EXPECT_TRUE(
      same_bytes(in_every_order([&] { return problem.above_by_kernels(0.0f, capacity, entries, stream_); }),
                 problem.above_on_cpu(0.0f, capacity, expected_entries)));
}

INSTANTIATE_TEST_SUITE_P(Shapes, EncodeTopsKernels, ::testing::ValuesIn(kShapes));

using EncodeTopsKernel = testing::KernelTest;

TEST_F(EncodeTopsKernel, NothingEligibleIsNothingBeside) {
  EncodeProblem problem = problem_of(kShapes[1]);
  problem.eligible.assign(problem.eligible.size(), 0);
  EXPECT_TRUE(same_bytes(problem.topk_by_kernels(5, stream_), problem.topk_on_cpu(5)));
}

TEST_F(EncodeTopsKernel, MoreThanABlockHoldsIsRefused) {
  const int64_t k = cuda::kMostSelected + 1;
  const EncodeProblem problem(1, k, 1, 1);
  EXPECT_EQ(testing::code_of([&] { (void)problem.topk_by_kernels(k, stream_); }), ExitCode::kConfig);
}

}  // namespace
}  // namespace orthant::kernels
