#include "kernels/pruning/prune_rows.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/pruning/pruning_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::on_device;
using testing::random_matrix;
using testing::zero_matrix;

struct Shape {
  PrunePattern pattern;
  int64_t width;
  RowCenter center = RowCenter::kNone;
  bool has_gains = false;
};

class PruneRowsKernels : public testing::KernelShapes<Shape> {};

TEST_P(PruneRowsKernels, KeepWhatTheCpuKeeps) {
  const auto [pattern, width, center, has_gains] = GetParam();
  for (const int64_t rows : {0, 1, 3}) {
    Tensor<float, 2> x = random_matrix(rows, width, 1), gains = random_matrix(has_gains ? 1 : 0, width, 2);
    for (float& value : x.view().span()) value = std::round(2.0f * value) / 2.0f;
    for (float& gain : gains.view().span()) gain = std::abs(gain);
    const Tensor<float, 2> given = random_matrix(1, width, 3);
    const bool measures = center == RowCenter::kMedian || center == RowCenter::kMean;
    const int64_t rest_rows = center == RowCenter::kNone ? rows : 0, center_rows = measures ? rows : 0;
    Tensor<float, 2> kept = zero_matrix(rows, width), rest = zero_matrix(rest_rows, width);
    Tensor<float, 1> centers = testing::make_vector<float>(center_rows),
                     factors = testing::make_vector<float>(rows);
    const Vector<const float> given_center{given.data(), {center == RowCenter::kGiven ? width : 0}};
    Stream host;
    prune_rows(
        {.x = x.view(),
         .pattern = pattern,
         .gains = gains.view(),
         .center = center,
         .given_center = given_center},
        {.kept = kept.view(), .centers = centers.view(), .factors = factors.view(), .rest = rest.view()},
        host);
    const auto device_x = on_device(x), device_gains = on_device(gains), device_given = on_device(given);
    const auto found = testing::in_every_order([&] {
      const DeviceArray<float> device_kept(rows * width), device_rest(rest_rows * width),
          device_centers(center_rows), device_factors(rows);
      const auto matrix_of = [&](const DeviceArray<float>& array, int64_t count) {
        return Matrix<float>{array.data(), {count, width}, testing::kernel_device()};
      };
      cuda::prune_rows({.x = matrix_of(device_x, rows),
                        .pattern = pattern,
                        .gains = matrix_of(device_gains, gains.shape()[0]),
                        .center = center,
                        .given_center = {device_given.data(), given_center.shape, testing::kernel_device()}},
                       {.kept = matrix_of(device_kept, rows),
                        .centers = device_centers.vector(),
                        .factors = device_factors.vector(),
                        .rest = matrix_of(device_rest, rest_rows)},
                       stream_);
      return std::tuple(device_kept.values(), device_rest.values(), device_centers.values(),
                        device_factors.values());
    });
    const auto list = [](const auto& tensor) {
      return std::vector<float>(tensor.data(), tensor.data() + tensor.view().elements());
    };
    EXPECT_EQ(std::get<0>(found), list(kept));
    EXPECT_EQ(std::get<1>(found), list(rest));
    EXPECT_EQ(std::get<2>(found), list(centers));
    for (int64_t r = 0; r < rows; ++r)
      EXPECT_FLOAT_EQ(std::get<3>(found)[static_cast<size_t>(r)], factors.data()[r]);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, PruneRowsKernels,
                         ::testing::Values(Shape{{2, 4}, 64}, Shape{{8, 16}, 576}, Shape{{16, 32}, 32},
                                           Shape{{2, 5}, 15}, Shape{{0, 4}, 8}, Shape{{4, 4}, 8},
                                           Shape{{200, 0}, 300}, Shape{{0, 0}, 17}, Shape{{17, 0}, 17},
                                           Shape{{1, 0}, 1}, Shape{{8, 16}, 48, RowCenter::kMedian},
                                           Shape{{2, 4}, 12, RowCenter::kGiven},
                                           Shape{{5, 0}, 13, RowCenter::kMedian, true},
                                           Shape{{8, 16}, 320, RowCenter::kNone, true}));

TEST_F(PruneRowsKernels, NeedTheirBarriers) {
  const Tensor<float, 2> x = random_matrix(2, 300, 4);
  const auto device_x = on_device(x);
  if (!testing::can_leave_out_barriers()) GTEST_SKIP() << "barriers cannot be left out on a device";
  EXPECT_TRUE(testing::needs_its_barriers([&] {
    const DeviceArray<float> kept(600);
    cuda::prune_rows({.x = device_x.matrix(300), .pattern = {2, 4}}, {.kept = kept.matrix(300)}, stream_);
    return kept.values();
  }));
}

}  // namespace
}  // namespace orthant::kernels
