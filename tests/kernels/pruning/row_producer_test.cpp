#include "kernels/pruning/row_producer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "kernels/pruning/prune_rows.h"
#include "kernels/sparse/kept_inputs.h"
#include "tests/support/kept_list.h"
#include "tests/support/random_codes.h"

namespace orthant::kernels {
namespace {

using testing::make_vector;
using testing::random_matrix;
using testing::same_bits;
using testing::zero_matrix;

// A matrix, and what each producer needs to make rows of it.
struct Made {
  Made(int64_t rows, int64_t width)
      : x(random_matrix(rows, width, 1)), up(random_matrix(rows, width, 2)), norm(make_vector<float>(width)) {
    for (int64_t c = 0; c < width; ++c) norm.data()[c] = 0.5f + 0.01f * static_cast<float>(c % 90);
  }
  [[nodiscard]] std::vector<RowProducer> producers() const {
    return {{.norm_weight = norm.view(), .norm_epsilon = 1e-5f}, {.up = up.view()}};
  }
  Tensor<float, 2> x, up;
  Tensor<float, 1> norm;
};

struct Pruned {
  Pruned(int64_t rows, int64_t width, bool measures, bool has_rest)
      : kept(zero_matrix(rows, width)),
        rest(zero_matrix(has_rest ? rows : 0, width)),
        centers(make_vector<float>(measures ? rows : 0)),
        factors(make_vector<float>(rows)) {}
  [[nodiscard]] PrunedRows view() {
    return {.kept = kept.view(), .centers = centers.view(), .factors = factors.view(), .rest = rest.view()};
  }
  Tensor<float, 2> kept, rest;
  Tensor<float, 1> centers, factors;
};

void expect_pruned_as_stored(int64_t rows, int64_t width, PrunePattern pattern, RowCenter center) {
  const Made made(rows, width);
  Stream stream;
  for (const RowProducer& producer : made.producers()) {
    Tensor<float, 2> stored = zero_matrix(rows, width);
    produce_rows(producer, made.x.view(), stored.view(), stream);
    const bool measures = center != RowCenter::kNone;
    Pruned two_steps(rows, width, measures, !measures), one_step(rows, width, measures, !measures);
    prune_rows({.x = stored.view(), .pattern = pattern, .center = center}, two_steps.view(), stream);
    prune_rows({.x = made.x.view(), .pattern = pattern, .center = center, .producer = producer},
               one_step.view(), stream);
    EXPECT_TRUE(same_bits(one_step.kept.view(), two_steps.kept.view()));
    EXPECT_TRUE(same_bits(one_step.rest.view(), two_steps.rest.view()));
    EXPECT_TRUE(same_bits(one_step.centers.view(), two_steps.centers.view()));
    EXPECT_TRUE(same_bits(one_step.factors.view(), two_steps.factors.view()));
  }
}

TEST(RowProducer, PrunesWhatItMakesAsIfItHadBeenStored) {
  for (const int64_t rows : {0, 1, 5}) {
    expect_pruned_as_stored(rows, 576, {8, 16}, RowCenter::kNone);
    expect_pruned_as_stored(rows, 28, {2, 4}, RowCenter::kMedian);
    expect_pruned_as_stored(rows, 33, {10, 0}, RowCenter::kMean);
    expect_pruned_as_stored(rows, 7, {7, 0}, RowCenter::kNone);
    expect_pruned_as_stored(rows, 15, {2, 5}, RowCenter::kNone);
  }
}

// The product of gate and up goes where the gate was.
TEST(RowProducer, WorksInPlace) {
  const Made made(3, 64);
  Stream stream;
  for (const RowProducer& producer : made.producers()) {
    Tensor<float, 2> expected = zero_matrix(3, 64), found = zero_matrix(3, 64);
    prune_rows({.x = made.x.view(), .pattern = {2, 4}, .producer = producer}, {.kept = expected.view()},
               stream);
    std::copy_n(made.x.data(), made.x.view().elements(), found.data());
    prune_rows({.x = found.view(), .pattern = {2, 4}, .producer = producer}, {.kept = found.view()}, stream);
    EXPECT_TRUE(same_bits(found.view(), expected.view()));
  }
}

TEST(RowProducer, ListsWhatItMakesAsIfItHadBeenStored) {
  Stream stream;
  for (const auto& [width, keep, group] :
       {std::tuple<int64_t, int64_t, int64_t>{576, 8, 16}, {30, 2, 5}, {48, 48, 48}, {33, 1, 33}}) {
    const Made made(1, width);
    for (const RowProducer& producer : made.producers()) {
      Tensor<float, 2> stored = zero_matrix(1, width);
      produce_rows(producer, made.x.view(), stored.view(), stream);
      const testing::KeptList expected({stored.data(), {width}}, keep, group);
      testing::KeptList found(kept_count(width, keep, group));
      kept_inputs({made.x.data(), {width}}, keep, group, found.view(), stream, producer);
      EXPECT_EQ(found.inputs, expected.inputs);
      EXPECT_EQ(found.values, expected.values);
    }
  }
}

TEST(RowProducer, MustFitItsRows) {
  const Made made(2, 8), narrow(2, 4);
  Stream stream;
  Tensor<float, 2> kept = zero_matrix(2, 8);
  for (const RowProducer& producer : narrow.producers()) {
    EXPECT_ANY_THROW(prune_rows({.x = made.x.view(), .pattern = {2, 4}, .producer = producer},
                                {.kept = kept.view()}, stream));
  }
  RowProducer both = made.producers()[0];
  both.up = made.up.view();
  EXPECT_ANY_THROW(produce_rows(both, made.x.view(), kept.view(), stream));
  EXPECT_ANY_THROW(produce_rows({}, made.x.view(), kept.view(), stream));
}

}  // namespace
}  // namespace orthant::kernels
