#include "kernels/codes/append_codes.h"

#include <gtest/gtest.h>

#include "kernels/codes/append_codes_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::DeviceCodes;
using testing::in_every_order;
using testing::random_codes;

struct Shape {
  int64_t rows, latents, most, block;
};

using AppendCodesKernels = testing::KernelShapes<Shape>;

TEST_P(AppendCodesKernels, PutTogetherWhatWasCutOnBothDevices) {
  const auto [rows, latents, most, block] = GetParam();
  Codes whole = random_codes(rows, latents, most, 3);
  const CodesView expected = whole.view();
  Codes on_host(testing::test_memory(), rows, rows * most);
  Stream host_stream;
  const auto append_all = [&](auto append) {
    for (int64_t first = 0; first < rows; first += block) {
      append(expected.row_range(first, std::min(block, rows - first)), first);
    }
  };
  append_all([&](CodesView part, int64_t first) { append_codes(part, first, on_host.view(), host_stream); });
  const DeviceCodes there(expected);
  const auto work = [&] {
    const DeviceArray<int64_t> offsets(rows + 1);
    const DeviceArray<int32_t> numbers(rows * most);
    const DeviceArray<float> values(rows * most);
    const CodesView into{offsets.vector(), numbers.vector(), values.vector()};
    for (int64_t first = 0; first < rows; first += block) {
      cuda::append_codes(there.view().row_range(first, std::min(block, rows - first)), first, into, stream_);
    }
    return std::tuple(offsets.values(), numbers.values(), values.values());
  };
  const auto [offsets, numbers, values] = in_every_order(work);
  for (int64_t r = 0; r <= rows; ++r) {
    EXPECT_EQ(offsets[static_cast<size_t>(r)], expected.row_offsets.data[r]);
    EXPECT_EQ(on_host.view().row_offsets.data[r], expected.row_offsets.data[r]);
  }
  for (int64_t e = 0; e < expected.entries(); ++e) {
    EXPECT_EQ(numbers[static_cast<size_t>(e)], expected.latents.data[e]);
    EXPECT_EQ(values[static_cast<size_t>(e)], expected.values.data[e]);
    EXPECT_EQ(on_host.view().latents.data[e], expected.latents.data[e]);
    EXPECT_EQ(on_host.view().values.data[e], expected.values.data[e]);
  }
}

INSTANTIATE_TEST_SUITE_P(Codes, AppendCodesKernels,
                         ::testing::Values(Shape{1, 3, 2, 1}, Shape{7, 5, 4, 3}, Shape{50, 90, 40, 16},
                                           Shape{20, 8, 8, 64}));

}  // namespace
}  // namespace orthant::kernels
