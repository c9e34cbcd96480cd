#include "kernels/backward/attention_backward.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>

#include "kernels/ref/attention.h"
#include "tests/support/central_difference.h"
#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

using kernels::AttentionShape;
using testing::NormalMatrix;

struct Case {
  Case(const AttentionShape& of, int64_t rows)
      : shape(of),
        query(rows, of.heads * of.head_dim, 1),
        key(rows, of.kv_heads * of.head_dim, 2),
        value(rows, of.kv_heads * of.head_dim, 3),
        gradient(rows, of.heads * of.head_dim, 4) {}

  // Gradients of query, key and value one after the other.
  std::vector<float> run(int threads) {
    NormalMatrix of_query = query, of_key = key, of_value = value;
    const int64_t rows = query.view().shape[0];
    std::vector<float> workspace(static_cast<size_t>(attention_backward_floats(shape, rows, threads)));
    Stream stream;
    kernels::attention_backward(shape, {query.view(), key.view(), value.view()}, gradient.view(),
                                {of_query.view(), of_key.view(), of_value.view()},
                                {workspace.data(), {static_cast<int64_t>(workspace.size())}}, stream);
    std::vector<float> all = of_query.values();
    for (const auto* part : {&of_key.values(), &of_value.values()})
      all.insert(all.end(), part->begin(), part->end());
    return all;
  }
  double loss() {
    return testing::weighted_sum(kernels::ref::attention(shape, query.view(), key.view(), value.view()),
                                 gradient.values());
  }
  float& operand(size_t i) {
    for (NormalMatrix* const part : {&query, &key}) {
      if (i < part->values().size()) return part->values()[i];
      i -= part->values().size();
    }
    return value.values()[i];
  }
  AttentionShape shape;
  NormalMatrix query, key, value, gradient;
};

void expect_slopes_of_the_reference(const AttentionShape& shape, int64_t rows, size_t samples) {
  Case of(shape, rows);
  const std::vector<float> found = of.run(1);
  for (size_t i = 0; i < found.size(); i += 1 + found.size() / samples) {
    const double slope = testing::central_difference(of.operand(i), 1e-3, [&] { return of.loss(); });
    ASSERT_NEAR(found[i], slope, 2e-5 * (1.0 + std::abs(slope))) << rows << " " << i;
  }
}

TEST(AttentionBackward, IsTheSlopeOfTheReferenceOverOddShapes) {
  for (const int64_t rows : {1, 2, 15, 17}) {
    expect_slopes_of_the_reference({4, 2, 6}, rows, 80);
    expect_slopes_of_the_reference({3, 1, 17}, rows, 80);
    expect_slopes_of_the_reference({2, 2, 16}, rows, 80);
  }
}

TEST(AttentionBackward, IsTheSlopeOfTheReferenceAcrossTiles) {
  expect_slopes_of_the_reference({2, 1, 8}, 131, 60);
}

TEST(AttentionBackward, GivesTheSameBitsOnAnyThreads) {
  Case of({6, 2, 20}, 150);
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const std::vector<float> one = of.run(1);
  omp_set_num_threads(3);
  EXPECT_EQ(of.run(3), one);
  omp_set_num_threads(before);
}

TEST(AttentionBackward, HasNothingToDoWithoutRows) {
  EXPECT_TRUE(Case({2, 1, 8}, 0).run(1).empty());
}

}  // namespace
}  // namespace orthant
