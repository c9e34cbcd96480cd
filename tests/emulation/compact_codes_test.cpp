#include <gtest/gtest.h>

#include "kernels/codes/compact_codes_cuda.h"
#include "tests/emulation/kernel_test.h"
#include "tests/emulation/selection_arrays.h"

namespace orthant::kernels {
namespace {

using testing::DeviceCodes;
using testing::in_every_order;
using testing::random_codes;
using testing::SelectionArrays;

struct Shape {
  int64_t rows, latents, most;
  int64_t kept_of_seven;
  int64_t begin = 0;  // the first offset
};

constexpr Shape kShapes[] = {{1, 5, 1, 7},       {1, 5, 4, 0},       {0, 5, 4, 3},
                             {9, 40, 6, 3},      {70, 500, 60, 3},   {70, 500, 60, 6, 200},
                             {3, 4000, 2100, 4}, {400, 900, 2, 5, 3}};

bool is_kept(int64_t entry, const Shape& shape) {
  return (entry * 3 + entry / 5) % 7 < shape.kept_of_seven;
}

using CompactCodesKernels = testing::KernelShapes<Shape>;

TEST_P(CompactCodesKernels, LeaveWhatIsNotDropped) {
  const Shape shape = GetParam();
  Codes codes = random_codes(shape.rows, shape.latents, shape.most, 3);
  const CodesView host = codes.view();
  // The entries before the first offset are of rows that are not looked at.
  for (int64_t r = 0; r <= shape.rows; ++r) {
    host.row_offsets.data[r] = std::max(host.row_offsets.data[r], std::min(shape.begin, host.entries()));
  }
  std::vector<int64_t> offsets = {host.row_offsets.data[0]};
  std::vector<int32_t> latents;
  std::vector<float> values;
  for (int64_t r = 0; r < shape.rows; ++r) {
    for (int64_t e = host.row_offsets.data[r]; e < host.row_offsets.data[r + 1]; ++e) {
      if (is_kept(e, shape)) {
        latents.push_back(host.latents.data[e]);
        values.push_back(host.values.data[e]);
      }
    }
    offsets.push_back(offsets[0] + static_cast<int64_t>(latents.size()));
  }
  for (int64_t e = offsets[0]; e < host.entries(); ++e) {
    if (!is_kept(e, shape)) host.latents.data[e] = cuda::kDropped;
  }
  const auto work = [&] {
    const DeviceCodes device(host);
    const SelectionArrays scratch(host.capacity());
    cuda::compact_codes(device.view(), scratch.room(), stream_);
    scratch.expect_margins();
    std::vector<int32_t> found_latents = device.latents.values();
    std::vector<float> found_values = device.values.values();
    std::vector<int64_t> found_offsets = device.row_offsets.values();
    const auto begin = found_offsets.front(), end = found_offsets.back();
    return std::tuple(found_offsets,
                      std::vector<int32_t>(found_latents.begin() + begin, found_latents.begin() + end),
                      std::vector<float>(found_values.begin() + begin, found_values.begin() + end));
  };
  EXPECT_TRUE(testing::same_bytes(in_every_order(work), std::tuple(offsets, latents, values)));
  if (testing::can_leave_out_barriers() && shape.most > 50) {
    EXPECT_TRUE(testing::needs_its_barriers(work));
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, CompactCodesKernels, ::testing::ValuesIn(kShapes));

}  // namespace
}  // namespace orthant::kernels
