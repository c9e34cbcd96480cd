#include "kernels/sparse/skipping_gemv.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>

#include "kernels/dense/gemm.h"
#include "kernels/ref/skipping_gemv.h"
#include "tests/support/kept_list.h"
#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

using kernels::InputMajorWeights;
using kernels::WeightFormat;
using testing::KeptList;
using testing::NormalMatrix;

constexpr WeightFormat kFormats[] = {WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kQ8};

// Weights in a format beside the values that they have there.
struct Problem {
  Problem(int64_t outputs, int64_t inputs, WeightFormat format)
      : weights(outputs, inputs, 1), x(1, inputs, 2), packed(memory, "weights", outputs, inputs, format) {
    packed.pack(weights.view(), stream);
    packed.unpack(weights.view());
  }
  std::vector<float> product(KeptList& kept, kernels::Isa isa = kernels::active_isa()) {
    std::vector<float> out(static_cast<size_t>(packed.outputs()), NAN);
    skipping_gemv(kept.view(), packed, {out.data(), {packed.outputs()}}, isa, stream);
    return out;
  }
  // Of a row in which everything else is 0.
  std::vector<float> dense_product(const KeptList& kept) {
    NormalMatrix row(1, packed.inputs(), 0, 0.0f), out(1, packed.outputs(), 0);
    for (size_t i = 0; i < kept.inputs.size(); ++i)
      row.values()[static_cast<size_t>(kept.inputs[i])] = kept.values[i];
    kernels::PackedWeights panels(memory, "panels", packed.outputs(), packed.inputs());
    panels.pack(weights.view(), stream);
    kernels::matmul_nt(row.view(), panels, out.view(), stream);
    return out.values();
  }
  [[nodiscard]] Vector<const float> row() { return {x.values().data(), {packed.inputs()}}; }

  Memory memory;
  Stream stream;
  NormalMatrix weights, x;
  InputMajorWeights packed;
};

TEST(SkippingGemv, HasTheBitsOfTheDenseProductOfTheMaskedRow) {
  for (const WeightFormat format : kFormats) {
    for (const int64_t outputs : {1, 31, 64, 65, 576, 5000}) {
      for (const int64_t inputs : {16, 48, 176}) {
        Problem problem(outputs, inputs, format);
        for (const int64_t keep : {1, 3, 8, 16}) {
          KeptList kept(problem.row(), keep, 16);
          ASSERT_EQ(problem.product(kept), problem.dense_product(kept))
              << name_of(format) << " " << outputs << " x " << inputs << " " << keep;
        }
      }
    }
  }
}

TEST(SkippingGemv, MatchesTheReference) {
  for (const WeightFormat format : kFormats) {
    Problem problem(333, 512, format);
    KeptList kept(problem.row(), 8, 16);
    const std::vector<float> found = problem.product(kept);
    const auto expected = kernels::ref::skipping_gemv(kept.inputs, kept.values, problem.weights.view());
    for (size_t o = 0; o < found.size(); ++o) {
      double size = 0.0;
      for (size_t i = 0; i < kept.inputs.size(); ++i) {
        size += std::abs(static_cast<double>(kept.values[i]) * static_cast<double>(problem.weights.view().row(
                                                                   static_cast<int64_t>(o))[kept.inputs[i]]));
      }
      // One rounding of half a unit for each of the chain's additions.
      ASSERT_NEAR(found[o], expected[o], 6e-8 * static_cast<double>(kept.inputs.size()) * size) << o;
    }
  }
}

TEST(SkippingGemv, GivesTheSameBitsInEveryInstructionSetAndOnAnyNumberOfThreads) {
  const int threads = omp_get_max_threads();
  for (const WeightFormat format : kFormats) {
    Problem problem(4300, 100, format);
    KeptList kept(problem.row(), 3, 4);
    const std::vector<float> expected = problem.product(kept, kernels::Isa::kScalar);
    for (const kernels::Isa isa : kernels::supported_isas()) {
      for (const int count : {1, 2, 3, 7}) {
        omp_set_num_threads(count);
        EXPECT_EQ(problem.product(kept, isa), expected) << name_of(isa) << " " << count;
      }
    }
    omp_set_num_threads(threads);
  }
}

TEST(SkippingGemv, DoesNotTouchWhatItSkips) {
  // A dense product of the masked row would make NaN of 0 times infinity.
  Memory memory;
  Stream stream;
  NormalMatrix weights(40, 8, 1);
  for (int64_t o = 0; o < 40; ++o) weights.view().row(o)[5] = INFINITY;
  InputMajorWeights packed(memory, "weights", 40, 8, WeightFormat::kF32);
  packed.pack(weights.view(), stream);
  KeptList kept(2);
  kept.inputs = {0, 7};
  kept.values = {1.0f, -2.0f};
  std::vector<float> out(40);
  skipping_gemv(kept.view(), packed, {out.data(), {40}}, stream);
  for (int64_t o = 0; o < 40; ++o) {
    const float* const row = weights.view().row(o);
    EXPECT_EQ(out[static_cast<size_t>(o)], std::fmaf(-2.0f, row[7], row[0]));
  }
}

TEST(SkippingGemv, OfNothingIsZero) {
  Problem problem(70, 4, WeightFormat::kQ8);
  KeptList nothing(0);
  EXPECT_EQ(problem.product(nothing), std::vector<float>(70, 0.0f));
}

}  // namespace
}  // namespace orthant
