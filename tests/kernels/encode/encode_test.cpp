#include "kernels/encode/encode.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <limits>

#include "kernels/ref/encode.h"
#include "tests/support/random_matrix.h"

namespace orthant {
namespace {

using kernels::Codes;
using kernels::CodesView;
using kernels::EncodeArgs;
using kernels::EncodeWorkspace;
using kernels::Isa;
using kernels::PackedWeights;
using kernels::ScreenedWeights;
using kernels::ref::Entry;
using testing::HostMatrix;
using testing::random_matrix;

// An encoder with its input; what is selected from it, row by row.
struct Problem {
  HostMatrix input, weights;
  std::vector<float> bias, scale, thresholds;
  int64_t first_latent = 0;
  std::vector<int32_t> latent_numbers = {};
  Isa isa = kernels::active_isa();
  int64_t workspace_k = 64;
  Memory memory = Memory();
  Stream stream = Stream();

  Problem(int64_t rows, int64_t latents, int64_t depth, uint32_t seed)
      : input(random_matrix(rows, depth, seed)), weights(random_matrix(latents, depth, seed + 1)) {}

  static Vector<const float> view(const std::vector<float>& vector) {
    return {vector.data(), {static_cast<int64_t>(vector.size())}};
  }

  PackedWeights packed() {
    PackedWeights encoder(memory, "weights", weights.rows, weights.columns);
    encoder.pack(weights.view(), stream);
    return encoder;
  }

  // The weights as the instruction set's encodes take them.
  struct Encoder {
    PackedWeights packed;
    ScreenedWeights screened;
    bool screens = false;
  };
  Encoder encoder() {
    Encoder encoder;
    encoder.screens = kernels::screen_ops(isa) != nullptr;
    if (encoder.screens) {
      encoder.screened = ScreenedWeights(memory, "weights", weights.rows, weights.columns);
      encoder.screened.pack(weights.view(), isa, stream);
    } else {
      encoder.packed = packed();
    }
    return encoder;
  }

  EncodeArgs args(const Encoder& encoder) const {
    return {.input = input.view(),
            .encoder = encoder.screens ? nullptr : &encoder.packed,
            .screened = encoder.screens ? &encoder.screened : nullptr,
            .bias = view(bias),
            .selection_scale = view(scale),
            .latent_numbers = {latent_numbers.data(), {static_cast<int64_t>(latent_numbers.size())}},
            .first_latent = first_latent};
  }

  // relu(product + bias) with the bits of matmul_nt.
  std::vector<double> activations_of_row(int64_t row) {
    const PackedWeights encoder = packed();
    HostMatrix out(1, weights.rows);
    matmul_nt(std::as_const(input).view().rows(row, 1), encoder, out.view(), stream);
    std::vector<double> result;
    for (int64_t i = 0; i < weights.rows; ++i) {
      const float sum = out.at(0, i) + (bias.empty() ? 0.0f : bias[static_cast<size_t>(i)]);
      result.push_back(sum > 0.0f ? sum : 0.0);
    }
    return result;
  }

  std::vector<std::vector<Entry>> topk(int64_t k) {
    const Encoder encoder = this->encoder();
    const int64_t kept = std::min(k, weights.rows);
    EncodeWorkspace workspace(memory, omp_get_max_threads(), kept, weights.columns);
    Codes codes(memory, input.rows, input.rows * kept);
    encode_topk(args(encoder), k, workspace, codes.view(), isa, stream);
    return entries_of(codes.view());
  }

  int64_t above(float threshold, CodesView out) {
    const Encoder encoder = this->encoder();
    EncodeWorkspace workspace(memory, omp_get_max_threads(), workspace_k, weights.columns);
    return encode_above(args(encoder), threshold, view(thresholds), workspace, out, isa, stream);
  }
  std::vector<std::vector<Entry>> above(float threshold) {
    Codes codes(memory, input.rows, input.rows * weights.rows);
    const int64_t count = above(threshold, codes.view());
    EXPECT_EQ(count, codes.view().entries());
    return entries_of(codes.view());
  }

  static std::vector<std::vector<Entry>> entries_of(CodesView codes) {
    std::vector<std::vector<Entry>> rows;
    for (int64_t r = 0; r < codes.rows(); ++r) {
      rows.emplace_back();
      for (int64_t e = codes.row_offsets.data[r]; e < codes.row_offsets.data[r + 1]; ++e) {
        rows.back().push_back({codes.latents.data[e], codes.values.data[e]});
      }
    }
    return rows;
  }
};

std::vector<double> widened(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

void add_bias_and_scale(Problem& problem, bool scaled) {
  problem.bias = random_matrix(1, problem.weights.rows, 77).values;
  if (!scaled) return;
  problem.scale = random_matrix(1, problem.weights.rows, 78).values;
  for (float& scale : problem.scale) scale = std::abs(scale);
}

class EncodeOf : public ::testing::TestWithParam<Isa> {};

TEST_P(EncodeOf, TopKEqualsSortingTheActivationsOfThePlainProduct) {
  for (const int64_t rows : {0, 1, 7, 25}) {
    for (const int64_t latents : {1, 15, 64, 257, 600}) {
      for (const int64_t k : {0, 1, 5, 64, 1000}) {
        Problem problem(rows, latents, 19, static_cast<uint32_t>(latents));
        problem.isa = GetParam();
        add_bias_and_scale(problem, k == 5);
        const auto found = problem.topk(k);
        for (int64_t r = 0; r < rows; ++r) {
          std::vector<double> row = problem.activations_of_row(r), ranks;
          // Ranks are products in single precision.
          for (size_t i = 0; i < row.size(); ++i) {
            ranks.push_back(problem.scale.empty() ? row[i] : static_cast<float>(row[i]) * problem.scale[i]);
          }
          auto expected = kernels::ref::topk(ranks, {}, k);
          for (Entry& entry : expected) entry.value = row[static_cast<size_t>(entry.latent)];
          ASSERT_EQ(found[static_cast<size_t>(r)], expected)
              << latents << " latents, k " << k << ", row " << r;
        }
      }
    }
  }
}

TEST_P(EncodeOf, AboveEqualsFilteringTheActivationsOfThePlainProduct) {
  for (const int64_t latents : {1, 64, 257, 600}) {
    for (const float threshold : {0.0f, 0.5f, 2.0f}) {
      Problem problem(25, latents, 19, static_cast<uint32_t>(latents));
      problem.isa = GetParam();
      add_bias_and_scale(problem, threshold == 0.5f);
      if (threshold != 2.0f) problem.thresholds = random_matrix(1, latents, 79).values;
      const auto found = problem.above(threshold);
      for (int64_t r = 0; r < 25; ++r) {
        const std::vector<double> row = problem.activations_of_row(r);
        std::vector<Entry> expected;
        for (const Entry& entry : kernels::ref::above(row, {}, 0.0, widened(problem.thresholds))) {
          const auto i = static_cast<size_t>(entry.latent);
          const float value = static_cast<float>(entry.value);
          if ((problem.scale.empty() ? value : value * problem.scale[i]) > threshold)
            expected.push_back(entry);
        }
        ASSERT_EQ(found[static_cast<size_t>(r)], expected)
            << latents << " latents above " << threshold << ", row " << r;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, EncodeOf, ::testing::ValuesIn(kernels::supported_isas()),
                         [](const auto& which) { return std::string(kernels::name_of(which.param)); });

TEST(EncodeTopK, ValuesAreCloseToDoublePrecision) {
  Problem problem(40, 700, 300, 1);
  add_bias_and_scale(problem, false);
  const auto expected =
      kernels::ref::activations(std::as_const(problem.input).view(), std::as_const(problem.weights).view(),
                                Problem::view(problem.bias));
  const auto found = problem.topk(20);
  for (size_t r = 0; r < found.size(); ++r) {
    for (const Entry& entry : found[r]) {
      EXPECT_NEAR(entry.value, expected[r * 700 + static_cast<size_t>(entry.latent)], 300 * 17 * 6e-8);
    }
  }
}

TEST(EncodeTopK, BreaksTiesByTheLowestLatent) {
  Problem problem(9, 1000, 8, 2);
  // Every latent is the same: all activations of a row are equal, or all are zero.
  for (int64_t i = 0; i < 1000; ++i) {
    for (int64_t k = 0; k < 8; ++k) problem.weights.at(i, k) = problem.weights.at(0, k);
  }
  for (const auto& row : problem.topk(7)) {
    ASSERT_EQ(row.size(), 7u);
    for (size_t i = 0; i < row.size(); ++i) EXPECT_EQ(row[i].latent, static_cast<int64_t>(i));
  }
}

TEST(EncodeTopK, FillsWithTheLowestZerosWhereFewArePositive) {
  Problem problem(3, 300, 4, 3);
  problem.weights.values.assign(problem.weights.values.size(), 0.0f);
  problem.bias.assign(300, -1.0f);
  problem.bias[2] = 5.0f;
  problem.bias[290] = 4.0f;
  const std::vector<Entry> expected = {{0, 0.0}, {1, 0.0}, {2, 5.0}, {3, 0.0}, {290, 4.0}};
  for (const auto& row : problem.topk(5)) EXPECT_EQ(row, expected);
  problem.bias.assign(300, -1.0f);
  for (const auto& row : problem.topk(3)) EXPECT_EQ(row, (std::vector<Entry>{{0, 0.0}, {1, 0.0}, {2, 0.0}}));
}

TEST(EncodeTopK, KeepsTheActivationOfALatentWhoseScaleIsZero) {
  Problem problem(1, 3, 2, 4);
  problem.weights.values.assign(6, 0.0f);
  problem.bias = {2.0f, 3.0f, 1.0f};
  problem.scale = {0.0f, 0.0f, 1.0f};
  EXPECT_EQ(problem.topk(2)[0], (std::vector<Entry>{{0, 2.0}, {2, 1.0}}));
}

TEST(EncodeTopK, SlicesOfLatentsHoldTheEntriesOfTheWhole) {
  Problem whole(50, 700, 64, 5);
  add_bias_and_scale(whole, false);
  const auto expected = whole.above(0.0f);
  std::vector<std::vector<Entry>> joined(50);
  for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 233}, {233, 234}, {467, 233}}) {
    Problem part(50, count, 64, 5);
    part.input = whole.input;
    std::copy_n(whole.weights.values.begin() + first * 64, count * 64, part.weights.values.begin());
    part.bias.assign(whole.bias.begin() + first, whole.bias.begin() + first + count);
    part.first_latent = first;
    const auto found = part.above(0.0f);
    for (size_t r = 0; r < 50; ++r) joined[r].insert(joined[r].end(), found[r].begin(), found[r].end());
  }
  EXPECT_EQ(joined, expected);
}

TEST(EncodeTopK, NumbersChosenLatentsAsAsked) {
  Problem problem(5, 30, 8, 6);
  const auto local = problem.topk(4);
  for (int32_t i = 0; i < 30; ++i) problem.latent_numbers.push_back(1000 + 3 * i);
  const auto numbered = problem.topk(4);
  for (size_t r = 0; r < 5; ++r) {
    for (size_t e = 0; e < 4; ++e) {
      EXPECT_EQ(numbered[r][e].latent, 1000 + 3 * local[r][e].latent);
      EXPECT_EQ(numbered[r][e].value, local[r][e].value);
    }
  }
}

TEST(EncodeTopK, IsTheSameForAnyNumberOfThreadsAndRowsTogether) {
  Problem problem(211, 500, 40, 7);
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto one = problem.topk(11);
  const auto one_above = problem.above(1.0f);
  omp_set_num_threads(3);
  EXPECT_EQ(problem.topk(11), one);
  EXPECT_EQ(problem.above(1.0f), one_above);
  omp_set_num_threads(before);
  for (const int64_t row : {0, 95, 96, 210}) {
    Problem single(1, 500, 40, 7);
    std::copy_n(problem.input.values.begin() + row * 40, 40, single.input.values.begin());
    single.weights = problem.weights;
    EXPECT_EQ(single.topk(11)[0], one[static_cast<size_t>(row)]);
  }
}

TEST(EncodeTopK, EmitsNaN) {
  Problem problem(3, 400, 8, 8);
  problem.input.at(1, 3) = std::numeric_limits<float>::quiet_NaN();
  const auto clean = problem.topk(4);
  EXPECT_EQ(clean[1].size(), 4u);
  EXPECT_TRUE(std::isnan(clean[1][0].value));
  EXPECT_FALSE(std::isnan(clean[0][0].value));
  problem.input = random_matrix(3, 8, 8);
  problem.weights.at(333, 0) = std::numeric_limits<float>::quiet_NaN();
  for (const auto& row : problem.topk(4))
    EXPECT_EQ(
        std::count_if(row.begin(), row.end(),
                      [](const Entry& entry) { return entry.latent == 333 && std::isnan(entry.value); }),
        1);
}

TEST(EncodeAbove, CountsBeyondTheCapacityWithoutWritingThere) {
  Problem problem(120, 300, 16, 9);
  const int64_t all = [&] {
    Codes room(problem.memory, 120, 120 * 300);
    return problem.above(0.0f, room.view());
  }();
  Codes codes(problem.memory, 120, all);
  CodesView tight = codes.view();
  tight.latents.shape[0] = all - 1;
  tight.latents.data[all - 1] = -7;
  EXPECT_EQ(problem.above(0.0f, tight), all);
  EXPECT_EQ(tight.latents.data[all - 1], -7);
  EXPECT_EQ(problem.above(0.0f, codes.view()), all);
}

TEST(EncodeAbove, RowsThatOutgrowTheirScratchLoseNothing) {
  Problem problem(100, 900, 16, 10);
  problem.workspace_k = 1;
  const auto little = problem.above(0.0f);
  problem.workspace_k = 900;
  EXPECT_EQ(little, problem.above(0.0f));
  // About half of all activations are positive: far more than a scratch for k = 1 holds.
  EXPECT_GT(little[0].size(), 300u);
}

TEST(Encode, RefusesWhatDoesNotFit) {
  Problem problem(4, 20, 8, 11);
  const Problem::Encoder encoder = problem.encoder();
  EncodeWorkspace workspace(problem.memory, 1, 3, 8);
  Codes codes(problem.memory, 4, 12);
  EXPECT_THROW(encode_topk(problem.args(encoder), 4, workspace, codes.view(), problem.stream), Error);
  EXPECT_THROW((void)encode_above(problem.args(encoder), -1.0f, {}, workspace, codes.view(), problem.stream),
               Error);
  EXPECT_THROW(encode_topk(problem.args(encoder), 3, workspace, codes.view(3), problem.stream), Error);
}

}  // namespace
}  // namespace orthant
