#include "sae/dictionary/watched_tops.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>

#include "tests/support/random_codes.h"

namespace orthant::sae {
namespace {

using kernels::Codes;
using kernels::CodesView;
using testing::random_matrix;

constexpr int64_t kDepth = 24;
constexpr int64_t kRows = 203;
constexpr int64_t kFirst = 1000;  // the slice begins here

// Rows encoded once by the main selection, which keeps the watched latents, and once by the chosen latents
// alone.
struct Problem {
  int64_t latents, k;
  Memory memory = Memory();
  Stream stream = Stream();
  Tensor<float, 2> input = random_matrix(kRows, kDepth, 5);
  Tensor<float, 2> weights;
  Tensor<float, 1> bias = Tensor<float, 1>(memory, "bias", {latents});
  WatchedTops watched{memory, kRows, WatchedTops::kept(k, latents), Share{kFirst, latents}};
  std::vector<uint64_t> eligible = std::vector<uint64_t>(static_cast<size_t>((latents + 63) / 64), 0);
  Codes chosen_codes{memory, kRows, kRows* k};
  Codes expected_codes{memory, kRows, kRows* k};

  Problem(int64_t latent_count, int64_t chosen_k, float bias_value)
      : latents(latent_count), k(chosen_k), weights(random_matrix(latent_count, kDepth, 6)) {
    for (float& value : bias.view().span()) value = bias_value;
  }

  // Few distinct values, so that activations tie.
  void coarsen() {
    for (float& value : input.view().span()) value = std::round(value);
    for (float& value : weights.view().span()) value = std::round(value);
  }

  template <typename Is>
  std::vector<int32_t> those(const Is& is) const {
    std::vector<int32_t> list;
    for (int32_t i = 0; i < latents; ++i) {
      if (is(i)) list.push_back(i);
    }
    return list;
  }

  void watch(const std::vector<int32_t>& list) {
    std::fill(eligible.begin(), eligible.end(), 0);
    for (const int32_t i : list) eligible[static_cast<size_t>(i / 64)] |= uint64_t{1} << (i % 64);
    watched.watch({eligible.data(), {static_cast<int64_t>(eligible.size())}});
  }

  // The main selection by TopK of 7, or of everything above 0.5.
  void encode(bool by_threshold, int64_t rows = kRows) {
    kernels::PackedWeights packed(memory, "packed", latents, kDepth);
    packed.pack(weights.view(), stream);
    kernels::EncodeWorkspace workspace(memory, omp_get_max_threads(), 7, kDepth,
                                       WatchedTops::kept(k, latents));
    Codes codes(memory, rows, rows * latents);
    const kernels::EncodeArgs args{.input = input.view().rows(0, rows),
                                   .encoder = &packed,
                                   .bias = bias.view(),
                                   .beside = watched.of_encode(rows)};
    if (by_threshold) {
      (void)kernels::encode_above(args, 0.5f, {}, workspace, codes.view(), stream);
    } else {
      kernels::encode_topk(args, 7, workspace, codes.view(), stream);
    }
  }

  CodesView expected(const std::vector<int32_t>& chosen) {
    const auto count = static_cast<int64_t>(chosen.size());
    kernels::PackedWeights packed(memory, "packed", latents, kDepth);
    packed.pack_chosen(weights.view(), {chosen.data(), {count}}, stream);
    kernels::EncodeWorkspace workspace(memory, omp_get_max_threads(), k, kDepth);
    std::vector<int32_t> numbers;
    for (const int32_t i : chosen) numbers.push_back(static_cast<int32_t>(kFirst + i));
    const kernels::EncodeArgs args{.input = input.view(),
                                   .encoder = &packed,
                                   .bias = bias.view().rows(0, count),
                                   .latent_numbers = {numbers.data(), {count}}};
    kernels::encode_topk(args, k, workspace, expected_codes.view(), stream);
    return expected_codes.view();
  }

  bool choose(const std::vector<int32_t>& chosen) {
    return watched.choose({chosen.data(), {static_cast<int64_t>(chosen.size())}}, k, chosen_codes.view());
  }

  void expect_chosen_as_alone(const std::vector<int32_t>& chosen) {
    ASSERT_TRUE(choose(chosen));
    const CodesView alone = expected(chosen), kept = chosen_codes.view();
    ASSERT_EQ(kept.entries(), alone.entries());
    for (int64_t r = 0; r <= kRows; ++r) ASSERT_EQ(kept.row_offsets.data[r], alone.row_offsets.data[r]);
    for (int64_t e = 0; e < alone.entries(); ++e) {
      ASSERT_EQ(kept.latents.data[e], alone.latents.data[e]) << "entry " << e;
      ASSERT_EQ(kept.values.data[e], alone.values.data[e]) << "entry " << e;
    }
  }
};

bool third(int32_t i) {
  return i % 3 != 0;
}
bool third_but_few(int32_t i) {
  return third(i) && i % 40 != 1;
}

TEST(WatchedTops, ChooseAsTheChosenLatentsAloneWould) {
  for (const int64_t latents : {5, 64, 131, 700}) {
    for (const bool by_threshold : {false, true}) {
      for (const bool coarse : {false, true}) {
        Problem problem(latents, std::min<int64_t>(20, latents), 0.0f);
        if (coarse) problem.coarsen();
        problem.watch(problem.those(third));
        problem.encode(by_threshold);
        problem.expect_chosen_as_alone(problem.those(third));
        problem.expect_chosen_as_alone(problem.those(third_but_few));
      }
    }
  }
}

// Most activations are zero: the lowest chosen latents fill the rows.
TEST(WatchedTops, FillsRowsOfFewPositiveActivations) {
  for (const float bias : {-8.0f, -1000.0f}) {
    Problem problem(300, 20, bias);
    problem.watch(problem.those(third));
    problem.encode(false);
    problem.expect_chosen_as_alone(problem.those(third_but_few));
  }
}

TEST(WatchedTops, ChoosesNoneOfNone) {
  Problem problem(64, 8, 0.0f);
  problem.watch(problem.those(third));
  problem.encode(false);
  ASSERT_TRUE(problem.choose({}));
  EXPECT_EQ(problem.chosen_codes.view().entries(), 0);
}

TEST(WatchedTops, SaysWhereItCannotTell) {
  Problem problem(700, 20, 0.0f);
  EXPECT_FALSE(problem.choose({1, 2})) << "nothing was watched";
  problem.watch(problem.those(third));
  EXPECT_FALSE(problem.choose({1, 2})) << "nothing was encoded";
  problem.encode(false, kRows - 1);
  EXPECT_FALSE(problem.choose({1, 2})) << "other rows were encoded";
  problem.encode(false);
  EXPECT_FALSE(problem.choose({1, 3})) << "latent 3 was not watched";
  EXPECT_FALSE(problem.choose(problem.those([](int32_t i) { return i % 12 == 1; })))
      << "most of what was kept is not chosen";
  problem.watch({});
  problem.encode(false);
  EXPECT_FALSE(problem.choose({1, 2})) << "watching has ended";
}

}  // namespace
}  // namespace orthant::sae
