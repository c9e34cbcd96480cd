#include "kernels/pruning/prune_rows.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>

#include "kernels/isa/isa.h"
#include "kernels/pruning/pruning_rows.h"
#include "kernels/ref/pruning.h"
#include "tests/support/random_codes.h"
#include "tests/support/shared_files.h"

namespace orthant::kernels {
namespace {

using testing::make_vector;
using testing::random_matrix;
using testing::zero_matrix;

struct Case {
  PrunePattern pattern;
  int64_t width;
  RowCenter center = RowCenter::kNone;
  bool has_gains = false;
};

class PruneRowsCases : public ::testing::TestWithParam<Case> {};

std::span<const float> row_of(const Tensor<float, 2>& matrix, int64_t row) {
  return {matrix.view().row(row), static_cast<size_t>(matrix.shape()[1])};
}

TEST_P(PruneRowsCases, MatchTheReference) {
  const auto [pattern, width, center, has_gains] = GetParam();
  Stream stream;
  for (const int64_t rows : {0, 1, 7}) {
    Tensor<float, 2> x = random_matrix(rows, width, 1), gains = random_matrix(2, width, 2);
    // Equal magnitudes, so that ties decide.
    for (int64_t i = 0; i < x.view().elements(); ++i) x.data()[i] = std::round(2.0f * x.data()[i]) / 2.0f;
    for (float& gain : gains.view().span()) gain = std::abs(gain);
    const Tensor<float, 2> given = random_matrix(1, width, 3);
    Tensor<int32_t, 1> sets = make_vector<int32_t>(rows);
    for (int64_t r = 0; r < rows; ++r) sets.data()[r] = static_cast<int32_t>(r % 2);
    const bool measures = center == RowCenter::kMedian || center == RowCenter::kMean;
    const bool has_rest = center == RowCenter::kNone;
    Tensor<float, 2> kept = zero_matrix(rows, width), rest = zero_matrix(has_rest ? rows : 0, width);
    Tensor<float, 1> centers = make_vector<float>(measures ? rows : 0), factors = make_vector<float>(rows);
    PruneRows problem{.x = x.view(), .pattern = pattern, .center = center};
    if (has_gains) {
      problem.gains = gains.view();
      problem.gain_sets = sets.view();
    }
    if (center == RowCenter::kGiven) problem.given_center = {given.data(), {width}};
    prune_rows(
        problem,
        {.kept = kept.view(), .centers = centers.view(), .factors = factors.view(), .rest = rest.view()},
        stream);
    for (int64_t r = 0; r < rows; ++r) {
      const auto expected =
          ref::pruned_row(row_of(x, r), pattern, has_gains ? row_of(gains, r % 2) : std::span<const float>(),
                          center, center == RowCenter::kGiven ? row_of(given, 0) : std::span<const float>());
      for (int64_t c = 0; c < width; ++c) {
        const auto at = static_cast<size_t>(c);
        ASSERT_EQ(kept.view().row(r)[c], static_cast<float>(expected.kept[at])) << r << ", " << c;
        if (has_rest) {
          ASSERT_EQ(rest.view().row(r)[c], static_cast<float>(expected.rest[at]));
        }
      }
      if (measures) {
        EXPECT_FLOAT_EQ(centers.data()[r], static_cast<float>(expected.center));
      }
      EXPECT_NEAR(factors.data()[r], expected.factor, 2e-7 * expected.factor + 1e-12) << r;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Patterns, PruneRowsCases,
    ::testing::Values(Case{{2, 4}, 64}, Case{{1, 4}, 4}, Case{{4, 8}, 40}, Case{{8, 16}, 576},
                      Case{{16, 32}, 96}, Case{{2, 5}, 15}, Case{{0, 4}, 8}, Case{{4, 4}, 8}, Case{{1, 1}, 3},
                      Case{{288, 0}, 576}, Case{{0, 0}, 17}, Case{{17, 0}, 17}, Case{{1, 0}, 1},
                      Case{{8, 16}, 48, RowCenter::kMedian}, Case{{8, 16}, 48, RowCenter::kMean},
                      Case{{2, 4}, 12, RowCenter::kGiven}, Case{{5, 0}, 13, RowCenter::kMedian},
                      Case{{8, 16}, 64, RowCenter::kNone, true}, Case{{10, 0}, 33, RowCenter::kNone, true},
                      Case{{16, 32}, 32, RowCenter::kMean, true}),
    [](const auto& given) {
      const Case& c = given.param;
      return std::to_string(c.pattern.keep) + "of" + std::to_string(c.pattern.group) + "w" +
             std::to_string(c.width) + "center" + std::to_string(static_cast<int>(c.center)) +
             (c.has_gains ? "gains" : "");
    });

TEST(PruneRows, KeepingAllKeepsEveryBit) {
  Stream stream;
  Tensor<float, 2> x = random_matrix(3, 32, 5), kept = zero_matrix(3, 32);
  x.data()[0] = -0.0f;
  x.data()[1] = std::numeric_limits<float>::infinity();
  prune_rows({.x = x.view(), .pattern = {16, 16}}, {.kept = kept.view()}, stream);
  EXPECT_TRUE(testing::same_bits(kept.view(), x.view()));
}

TEST(PruneRows, WorksInPlace) {
  Stream stream;
  for (const PrunePattern pattern : {PrunePattern{2, 4}, PrunePattern{20, 0}}) {
    Tensor<float, 2> x = random_matrix(5, 64, 6), kept = zero_matrix(5, 64);
    prune_rows({.x = x.view(), .pattern = pattern}, {.kept = kept.view()}, stream);
    prune_rows({.x = x.view(), .pattern = pattern}, {.kept = x.view()}, stream);
    EXPECT_TRUE(testing::same_bits(kept.view(), x.view()));
  }
}

TEST(PruneRows, KeepsNotANumberFirst) {
  Stream stream;
  Tensor<float, 2> x = random_matrix(1, 8, 7);
  x.data()[5] = std::numeric_limits<float>::quiet_NaN();
  x.data()[6] = std::numeric_limits<float>::infinity();
  prune_rows({.x = x.view(), .pattern = {1, 8}}, {.kept = x.view()}, stream);
  EXPECT_TRUE(std::isnan(x.data()[5]));
  EXPECT_EQ(x.data()[6], 0.0f);
}

TEST(PruneRows, GiveTheSameInEveryInstructionSet) {
  Tensor<float, 2> x = random_matrix(1, 96, 8), gains = random_matrix(1, 96, 9);
  for (float& gain : gains.view().span()) gain = std::abs(gain);
  std::vector<int32_t> scores(96), expected(96), found(96);
  pruning_rows(Isa::kScalar).scores(x.data(), gains.data(), 96, scores.data());
  for (const Isa isa : supported_isas()) {
    const PruningRows& ops = pruning_rows(isa);
    ops.scores(x.data(), gains.data(), 96, found.data());
    EXPECT_EQ(found, scores) << name_of(isa);
    for (const PrunePattern pattern : {PrunePattern{2, 4}, {3, 8}, {8, 16}, {16, 32}, {5, 6}}) {
      pruning_rows(Isa::kScalar).mark_groups(scores.data(), pattern, 96, expected.data());
      ops.mark_groups(scores.data(), pattern, 96, found.data());
      EXPECT_EQ(found, expected) << name_of(isa);
    }
    std::vector<int32_t> keys(95), other(95);
    pruning_rows(Isa::kScalar).order_keys(x.data(), 95, keys.data());
    ops.order_keys(x.data(), 95, other.data());
    EXPECT_EQ(other, keys);
    for (const int64_t nth : {1, 48, 95})
      EXPECT_EQ(ops.nth_largest(keys.data(), 95, nth),
                pruning_rows(Isa::kScalar).nth_largest(keys.data(), 95, nth));
    EXPECT_EQ(ops.sums(x.data(), 95).squares, pruning_rows(Isa::kScalar).sums(x.data(), 95).squares);
  }
}

// prune_unit.json: a matrix with ties and zeros, and the columns that an independent program keeps.
TEST(PruneRows, KeepTheGoldenColumns) {
  ORTHANT_NEEDS_SHARED("golden/smollm2_135m/prune_unit.json");
  std::ifstream file(testing::shared_folder() / "golden/smollm2_135m/prune_unit.json");
  std::stringstream text;
  text << file.rdbuf();
  const boost::json::value golden = boost::json::parse(text.str());
  const auto& rows = golden.at("x").as_array();
  const auto width = static_cast<int64_t>(rows[0].as_array().size());
  Tensor<float, 2> x = zero_matrix(static_cast<int64_t>(rows.size()), width);
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t c = 0; c < rows[r].as_array().size(); ++c)
      x.view().row(static_cast<int64_t>(r))[c] = rows[r].as_array()[c].to_number<float>();
  }
  Stream stream;
  int patterns = 0;
  for (const auto& [name, found] : golden.at("cases").as_object()) {
    const std::string key(name);
    const size_t colon = key.find(':');
    const bool is_row = colon == std::string::npos;
    const PrunePattern pattern =
        is_row ? PrunePattern{found.at("keep").as_int64(), 0}
               : PrunePattern{std::stoll(key.substr(0, colon)), std::stoll(key.substr(colon + 1))};
    const boost::json::value& kept = is_row ? found.at("kept") : found;
    Tensor<float, 2> pruned = zero_matrix(x.shape()[0], width);
    prune_rows({.x = x.view(), .pattern = pattern}, {.kept = pruned.view()}, stream);
    for (size_t r = 0; r < rows.size(); ++r) {
      std::vector<bool> survives(static_cast<size_t>(width), false);
      for (const auto& column : kept.as_array()[r].as_array()) survives[column.to_number<size_t>()] = true;
      for (int64_t c = 0; c < width; ++c) {
        const float value = x.view().row(static_cast<int64_t>(r))[c];
        const float expected = survives[static_cast<size_t>(c)] ? value : 0.0f;
        EXPECT_EQ(pruned.view().row(static_cast<int64_t>(r))[c], expected)
            << key << " row " << r << " column " << c;
      }
    }
    ++patterns;
  }
  EXPECT_EQ(patterns, 10);
}

}  // namespace
}  // namespace orthant::kernels
