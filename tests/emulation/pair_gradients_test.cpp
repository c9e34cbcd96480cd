#include "kernels/neighbour/pair_gradients.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/neighbour/pair_gradients_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::in_every_order;
using testing::on_device;
using testing::random_matrix;
using testing::same_bytes;

struct Shape {
  int64_t width;
  int64_t offset = 0;
};

using PairGradientKernels = testing::KernelShapes<Shape>;

TEST_P(PairGradientKernels, AreThoseOfTheCpu) {
  const auto [width, offset] = GetParam();
  constexpr int64_t kRows = 6;
  const Tensor<float, 2> unit = random_matrix(kRows, width, 1), visiting = random_matrix(3, width, 2);
  const std::vector<float> norms = {1.0f, 0.0f, 2.5f, 0.1f, 3.0f, 1e-9f};
  const std::vector<int32_t> rows = {4, 1, 0, 5}, others = {0, ~2, 2, 1, ~0, 3, 4};
  const std::vector<int64_t> offsets = {0, 3, 3, 4, 7};
  const std::vector<float> cosines = {0.5f, -0.25f, 1.0f, 0.0f, 0.375f, -1.0f, 0.1f};
  Tensor<float, 2> expected = random_matrix(kRows, width, 3);
  const auto before = on_device(expected, offset);
  Stream host_stream;
  pair_gradients(unit.view(), {norms.data(), {kRows}}, visiting.view(),
                 {{rows.data(), {4}}, {offsets.data(), {5}}, {others.data(), {7}}, {cosines.data(), {7}}},
                 0.3, expected.view(), host_stream);
  const auto device_unit = on_device(unit, offset), device_visiting = on_device(visiting, offset);
  const DeviceArray<float> device_norms{std::span<const float>(norms)},
      device_cosines{std::span<const float>(cosines)};
  const DeviceArray<int32_t> device_rows{std::span<const int32_t>(rows)},
      device_others{std::span<const int32_t>(others)};
  const DeviceArray<int64_t> device_offsets{std::span<const int64_t>(offsets)};
  const std::vector<float> found = in_every_order([&] {
    const DeviceArray<float> gradient(std::span<const float>(before.values()), offset);
    cuda::pair_gradients(
        device_unit.matrix(width), device_norms.vector(), device_visiting.matrix(width),
        {device_rows.vector(), device_offsets.vector(), device_others.vector(), device_cosines.vector()}, 0.3,
        gradient.matrix(width), stream_);
    return gradient.values();
  });
  // The sum of squares along a row, in f64, may be rounded once less on a device.
  for (int64_t row = 0; row < kRows; ++row) {
    const auto own = expected.view().rows(row, 1).span();
    float size = 0.0f;
    for (const float x : own) size = std::max(size, std::abs(x));
    for (int64_t c = 0; c < width; ++c) {
      ASSERT_NEAR(found[static_cast<size_t>(row * width + c)], own[static_cast<size_t>(c)], 1e-6 * size)
          << row << " " << c;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Widths, PairGradientKernels,
                         ::testing::Values(Shape{1}, Shape{7}, Shape{128}, Shape{128, 1}, Shape{1030}));

}  // namespace
}  // namespace orthant::kernels
