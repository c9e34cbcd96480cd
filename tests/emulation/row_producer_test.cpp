#include "kernels/pruning/row_producer.h"

#include <gtest/gtest.h>

#include <optional>
#include <ostream>
#include <tuple>
#include <vector>

#include "kernels/pruning/pruning_cuda.h"
#include "kernels/sparse/sparse_cuda.h"
#include "kernels/transformer/transformer_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::on_device;
using testing::random_matrix;

struct Shape {
  int64_t width;
  PrunePattern pattern;
};

void PrintTo(const Shape& shape, std::ostream* out) {
  *out << shape.width << ", " << shape.pattern.keep << ":" << shape.pattern.group;
}

// Rows that a producer makes and that are pruned in one kernel, against two.
class RowProducerKernels : public testing::KernelShapes<Shape> {
 protected:
  RowProducerKernels()
      : x_(random_matrix(kRows, GetParam().width, 1)),
        up_(random_matrix(kRows, GetParam().width, 2)),
        weight_(random_matrix(1, GetParam().width, 3)) {}

  void SetUp() override {
    KernelShapes::SetUp();
    if (IsSkipped()) return;
    device_x_.emplace(on_device(x_));
    device_up_.emplace(on_device(up_));
    device_weight_.emplace(on_device(weight_));
  }

  [[nodiscard]] std::vector<RowProducer> producers() const {
    return {{.norm_weight = device_weight_->vector(), .norm_epsilon = 1e-5f},
            {.up = device_up_->matrix(width())}};
  }
  // What the producer makes, stored.
  [[nodiscard]] DeviceArray<float> stored(const RowProducer& producer) {
    DeviceArray<float> rows(kRows * width());
    if (producer.is_norm()) {
      cuda::rms_norm(x(), producer.norm_weight, producer.norm_epsilon, rows.matrix(width()), stream_);
    } else {
      cuda::swiglu(x(), producer.up, rows.matrix(width()), stream_);
    }
    return rows;
  }
  [[nodiscard]] int64_t width() const { return GetParam().width; }
  [[nodiscard]] Matrix<const float> x() const { return device_x_->matrix(width()); }

  static constexpr int64_t kRows = 3;
  Tensor<float, 2> x_, up_, weight_;
  std::optional<DeviceArray<float>> device_x_, device_up_, device_weight_;
};

TEST_P(RowProducerKernels, PruneWhatTwoKernelsPrune) {
  const PrunePattern pattern = GetParam().pattern;
  for (const RowProducer& producer : producers()) {
    const auto pruned = [&](Matrix<const float> rows, const RowProducer& made_by) {
      const DeviceArray<float> kept(kRows * width()), rest(kRows * width()), factors(kRows),
          centred(kRows * width()), centers(kRows);
      cuda::prune_rows(
          {.x = rows, .pattern = pattern, .producer = made_by},
          {.kept = kept.matrix(width()), .factors = factors.vector(), .rest = rest.matrix(width())}, stream_);
      cuda::prune_rows({.x = rows, .pattern = pattern, .center = RowCenter::kMedian, .producer = made_by},
                       {.kept = centred.matrix(width()), .centers = centers.vector()}, stream_);
      return std::tuple(kept.values(), rest.values(), factors.values(), centred.values(), centers.values());
    };
    const DeviceArray<float> rows = stored(producer);
    const auto expected = pruned(rows.matrix(width()), {});
    EXPECT_TRUE(
        testing::same_bytes(testing::in_every_order([&] { return pruned(x(), producer); }), expected));
  }
}

TEST_P(RowProducerKernels, ListWhatTwoKernelsList) {
  const PrunePattern pattern = GetParam().pattern;
  const int64_t group = pattern.group == 0 ? width() : pattern.group;
  const int64_t count = kept_count(width(), pattern.keep, group);
  for (const RowProducer& producer : producers()) {
    const auto listed = [&](Matrix<const float> rows, const RowProducer& made_by) {
      const DeviceArray<int32_t> inputs(count);
      const DeviceArray<float> values(count);
      cuda::kept_inputs({rows.data, {width()}, rows.device}, pattern.keep, group,
                        {inputs.vector(), values.vector()}, stream_, made_by);
      return std::tuple(inputs.values(), values.values());
    };
    RowProducer of_one_row = producer;
    if (producer.is_gated()) of_one_row.up = producer.up.rows(0, 1);
    const DeviceArray<float> rows = stored(producer);
    const auto expected = listed(rows.matrix(width()), {});
    EXPECT_TRUE(
        testing::same_bytes(testing::in_every_order([&] { return listed(x(), of_one_row); }), expected));
  }
}

// Rows of several warps.
class WideRowProducerKernels : public RowProducerKernels {};

TEST_P(WideRowProducerKernels, NeedTheirBarriers) {
  if (!testing::can_leave_out_barriers()) GTEST_SKIP() << "barriers cannot be left out on a device";
  for (const RowProducer& producer : producers()) {
    EXPECT_TRUE(testing::needs_its_barriers([&] {
      const DeviceArray<float> kept(kRows * width());
      cuda::prune_rows({.x = x(), .pattern = GetParam().pattern, .producer = producer},
                       {.kept = kept.matrix(width())}, stream_);
      return kept.values();
    }));
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, RowProducerKernels,
                         ::testing::Values(Shape{576, {8, 16}}, Shape{64, {2, 4}}, Shape{30, {2, 5}},
                                           Shape{1100, {550, 0}}, Shape{7, {7, 0}}, Shape{1, {1, 1}}));
INSTANTIATE_TEST_SUITE_P(Shapes, WideRowProducerKernels,
                         ::testing::Values(Shape{576, {8, 16}}, Shape{1100, {550, 0}}));

}  // namespace
}  // namespace orthant::kernels
