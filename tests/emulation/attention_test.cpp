#include "kernels/transformer/attention.h"

#include <gtest/gtest.h>

#include "kernels/ref/attention.h"
#include "kernels/transformer/transformer_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::in_every_order;
using testing::on_device;

// Keys and values of one sequence; unwritten places hold NaN, which must never be read.
struct Cache {
  Cache(const AttentionShape& shape, int64_t positions)
      : capacity((positions + kKeyPanel - 1) / kKeyPanel * kKeyPanel),
        keys(cache_floats(shape, capacity)),
        values(cache_floats(shape, capacity)) {}
  [[nodiscard]] AttentionSequence rows(int64_t first_row, int64_t count, int64_t first_position) const {
    return {first_row, count, first_position, capacity, keys.data(), values.data()};
  }
  int64_t capacity;
  DeviceArray<float> keys, values;
};

struct Inputs {
  Inputs(const AttentionShape& shape, int64_t rows, uint64_t seed, float size = 1.0f)
      : query(testing::random_matrix(rows, shape.heads * shape.head_dim, seed)),
        key(testing::random_matrix(rows, shape.kv_heads * shape.head_dim, seed + 1)),
        value(testing::random_matrix(rows, shape.kv_heads * shape.head_dim, seed + 2)) {
    for (float& x : query.view().span()) x *= size;
  }
  [[nodiscard]] std::vector<double> expected(const AttentionShape& shape) const {
    return ref::attention(shape, query.view(), key.view(), value.view());
  }
  Tensor<float, 2> query, key, value;
};

class AttentionKernel : public testing::KernelTest {
 protected:
  std::vector<float> run(const AttentionShape& shape, const std::vector<AttentionSequence>& sequences,
                         const Inputs& inputs) {
    const auto query = on_device(inputs.query), key = on_device(inputs.key), value = on_device(inputs.value);
    const int64_t width = shape.heads * shape.head_dim, kv_width = shape.kv_heads * shape.head_dim;
    cuda::store_keys_values(shape, sequences, key.matrix(kv_width), value.matrix(kv_width), stream_);
    cuda::attention(shape, sequences, query.matrix(width), query.matrix(width), stream_);
    return query.values();
  }
  std::vector<float> run_one(const AttentionShape& shape, const Inputs& inputs) {
    const int64_t rows = inputs.query.shape()[0];
    const Cache cache(shape, rows);
    const std::vector<float> out = run(shape, {cache.rows(0, rows, 0)}, inputs);
    (void)cache.keys.values();  // looks at the margins
    (void)cache.values.values();
    return out;
  }
};

TEST_F(AttentionKernel, MatchesTheReferenceOverOddShapes) {
  for (const AttentionShape shape :
       {AttentionShape{1, 1, 2}, AttentionShape{4, 2, 6}, AttentionShape{3, 1, 64}, AttentionShape{2, 2, 17},
        AttentionShape{2, 1, 80}, AttentionShape{1, 1, 256}}) {
    for (const int64_t rows : {1, 2, 16, 17, 33, 70}) {
      const Inputs inputs(shape, rows, 1);
      const auto work = [&] { return run_one(shape, inputs); };
      const auto found = rows == 33 ? in_every_order(work) : work();
      const auto expected = inputs.expected(shape);
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_NEAR(found[i], expected[i], 5e-6) << shape.head_dim << " " << rows << " " << i;
      }
    }
  }
}

TEST_F(AttentionKernel, NeedsTheBarrierOfItsWarps) {
  if (!testing::can_leave_out_barriers()) GTEST_SKIP() << "barriers can be left out on fibers only";
  const AttentionShape shape{2, 1, 64};
  const Inputs inputs(shape, 9, 3);
  EXPECT_TRUE(testing::needs_its_barriers([&] { return run_one(shape, inputs); }));
}

TEST_F(AttentionKernel, HoldsForLargeScores) {
  const AttentionShape shape{2, 1, 8};
  const Inputs inputs(shape, 70, 4, 100.0f);
  const auto found = run_one(shape, inputs);
  const auto expected = inputs.expected(shape);
  // Scores of several hundred err by their own rounding, which the softmax turns into a relative error.
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(found[i], expected[i], 5e-4) << i;
}

TEST_F(AttentionKernel, DoesNotDependOnTheBatch) {
  const AttentionShape shape{4, 2, 24};
  std::vector<int64_t> lengths(40, 1);  // more sequences than travel with a launch
  lengths[1] = 35;
  lengths[20] = 0;
  lengths[38] = 17;
  int64_t rows = 0;
  std::vector<Cache> caches;
  std::vector<AttentionSequence> sequences;
  for (const int64_t length : lengths) {
    caches.emplace_back(shape, length);
    sequences.push_back(caches.back().rows(rows, length, 0));
    rows += length;
  }
  const Inputs inputs(shape, rows, 11);
  const auto together = run(shape, sequences, inputs);
  const auto width = static_cast<size_t>(shape.heads * shape.head_dim);
  for (const AttentionSequence& sequence : sequences) {
    const Cache cache(shape, sequence.rows);
    const auto alone = run(shape, {cache.rows(sequence.first_row, sequence.rows, 0)}, inputs);
    for (size_t i = static_cast<size_t>(sequence.first_row) * width;
         i < static_cast<size_t>(sequence.first_row + sequence.rows) * width; ++i) {
      ASSERT_EQ(alone[i], together[i]);
    }
  }
}

TEST_F(AttentionKernel, DecodeFromACacheGivesTheBitsOfPrefill) {
  const AttentionShape shape{4, 2, 24};
  const int64_t rows = 80;
  const Inputs inputs(shape, rows, 21);
  const auto prefill = run_one(shape, inputs);
  const Cache cache(shape, rows);
  const auto width = static_cast<size_t>(shape.heads * shape.head_dim);
  int64_t first = 0;
  for (const int64_t piece : {40, 1, 1, 20, 18}) {
    const auto found = run(shape, {cache.rows(first, piece, first)}, inputs);
    for (size_t i = static_cast<size_t>(first) * width; i < static_cast<size_t>(first + piece) * width; ++i) {
      ASSERT_EQ(found[i], prefill[i]) << first;
    }
    first += piece;
  }
}

TEST_F(AttentionKernel, HeadsThatAreTooWideAreRefused) {
  const AttentionShape shape{1, 1, 257};
  const Inputs inputs(shape, 1, 5);
  EXPECT_THROW(run_one(shape, inputs), Error);
}

}  // namespace
}  // namespace orthant::kernels
