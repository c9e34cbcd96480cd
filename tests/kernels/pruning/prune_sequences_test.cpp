#include "kernels/pruning/prune_sequences.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/ref/pruning.h"
#include "tests/support/random_codes.h"

namespace orthant::kernels {
namespace {

using testing::make_vector;
using testing::random_matrix;
using testing::zero_matrix;

TEST(PruneSequences, KeepTheLargestEntriesOfEach) {
  Stream stream;
  constexpr int64_t kWidth = 33;
  for (const int64_t gain_rows : {0, 1, 3}) {
    for (const bool by_row_norm : {false, true}) {
      Tensor<float, 2> x = random_matrix(11, kWidth, 1), gains = random_matrix(gain_rows, kWidth, 2),
                       scores = zero_matrix(11, kWidth), kept = zero_matrix(11, kWidth);
      for (int64_t i = 0; i < x.view().elements(); ++i) x.data()[i] = std::round(x.data()[i]);
      for (float& gain : gains.view().span()) gain = std::abs(gain);
      Tensor<int64_t, 1> offsets = make_vector<int64_t>(4), keep = make_vector<int64_t>(3);
      const int64_t ends[] = {0, 4, 4, 11}, counts[] = {50, 0, 7 * kWidth / 2};
      std::copy(std::begin(ends), std::end(ends), offsets.data());
      std::copy(std::begin(counts), std::end(counts), keep.data());
      prune_sequences({.x = x.view(),
                       .offsets = offsets.view(),
                       .keep = keep.view(),
                       .gains = gains.view(),
                       .by_row_norm = by_row_norm},
                      scores.view(), kept.view(), stream);
      for (int64_t s = 0; s < 3; ++s) {
        std::vector<float> expected_scores;
        for (int64_t r = ends[s]; r < ends[s + 1]; ++r) {
          double squares = 0.0;
          for (int64_t c = 0; c < kWidth; ++c) squares += std::pow(double{x.view().row(r)[c]}, 2);
          const float factor = by_row_norm ? static_cast<float>(1.0 / (std::sqrt(squares) + 1e-8)) : 1.0f;
          for (int64_t c = 0; c < kWidth; ++c) {
            const float gain = gain_rows == 0 ? 1.0f : gains.view().row(gain_rows == 1 ? 0 : s)[c];
            expected_scores.push_back(std::abs(x.view().row(r)[c] * factor * gain));
          }
        }
        if (expected_scores.empty()) continue;
        const auto survives = ref::survivors(expected_scores, {counts[s], 0});
        for (size_t i = 0; i < survives.size(); ++i) {
          const int64_t at = ends[s] * kWidth + static_cast<int64_t>(i);
          EXPECT_EQ(kept.data()[at], survives[i] ? x.data()[at] : 0.0f) << s << ", " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace orthant::kernels
