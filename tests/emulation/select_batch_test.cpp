#include "kernels/codes/select_batch.h"

#include <gtest/gtest.h>

#include <bit>
#include <limits>

#include "kernels/codes/select_batch_cuda.h"
#include "tests/emulation/kernel_test.h"
#include "tests/emulation/selection_arrays.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::DeviceCodes;
using testing::in_every_order;
using testing::same_bytes;
using testing::SelectionArrays;

struct Shape {
  int64_t rows, latents, most;
};

constexpr Shape kShapes[] = {{1, 5, 1}, {0, 5, 4}, {9, 40, 6}, {40, 300, 30}, {2, 4000, 2100}};
constexpr BitField kFields[] = {{20, 11}, {9, 11}, {0, 9}};

// Values of few kinds, a NaN and an infinity among them.
Codes codes_of(const Shape& shape) {
  Codes codes = testing::random_codes(shape.rows, shape.latents, shape.most, 3);
  const CodesView view = codes.view();
  for (int64_t e = 0; e < view.entries(); ++e) {
    if (e % 3 == 0) view.values.data[e] = 0.25f + static_cast<float>(e % 5);
    if (e % 41 == 7) view.values.data[e] = std::numeric_limits<float>::quiet_NaN();
    if (e % 43 == 9) view.values.data[e] = std::numeric_limits<float>::infinity();
  }
  return codes;
}

std::vector<uint32_t> cutoffs_of(const CodesView& codes) {
  std::vector<uint32_t> cutoffs = {0, std::bit_cast<uint32_t>(1.25f), 0x7f800000u};
  for (int64_t e = 0; e < codes.entries(); e += 29) {
    cutoffs.push_back(std::bit_cast<uint32_t>(codes.values.data[e]) & 0x7fffffffu);
  }
  cutoffs.resize(std::min<size_t>(cutoffs.size(), 6));
  return cutoffs;
}

class SelectBatchKernels : public testing::KernelShapes<Shape> {
 protected:
  Stream host_stream_;
};

TEST_P(SelectBatchKernels, CountTheBitsThatTheCpuCounts) {
  Codes codes = codes_of(GetParam());
  SelectionScratch none(testing::test_memory(), codes.view().capacity());
  const DeviceCodes device(codes.view());
  const SelectionArrays scratch(codes.view().capacity());
  for (const BitField field : kFields) {
    for (const uint32_t cutoff : cutoffs_of(codes.view())) {
      std::vector<int64_t> expected(SelectionScratch::kMostBins);
      count_bits(codes.view(), field, cutoff, none, {expected.data(), {SelectionScratch::kMostBins}},
                 host_stream_);
      const auto work = [&] {
        const DeviceArray<int64_t> histogram(SelectionScratch::kMostBins);
        cuda::count_bits(device.view(), field, cutoff, scratch.room(), histogram.vector(), stream_);
        scratch.expect_margins();
        return histogram.values();
      };
      EXPECT_TRUE(same_bytes(work(), expected));
    }
  }
}

TEST_P(SelectBatchKernels, ListTheKeysThatTheCpuLists) {
  Codes codes = codes_of(GetParam());
  SelectionScratch none(testing::test_memory(), codes.view().capacity());
  const DeviceCodes device(codes.view());
  const SelectionArrays scratch(codes.view().capacity());
  for (const uint32_t bits : cutoffs_of(codes.view())) {
    std::vector<int64_t> counts(512);
    count_bits(codes.view(), {0, 9}, bits, none, {counts.data(), {512}}, host_stream_);
    std::vector<int64_t> expected(static_cast<size_t>(counts[bits & 511])), found = expected;
    list_equal(codes.view(), bits, 100, none, expected, host_stream_);
    cuda::list_equal(device.view(), bits, 100, scratch.room(), found, stream_);
    EXPECT_EQ(found, expected);
  }
}

TEST_P(SelectBatchKernels, KeepWhatTheCpuKeeps) {
  const Shape shape = GetParam();
  for (const uint32_t bits : cutoffs_of(codes_of(shape).view())) {
    for (const int64_t last_key : {int64_t{0}, entry_key(100 + shape.rows / 2, 3), entry_key(1000, 0)}) {
      Codes kept = codes_of(shape);
      SelectionScratch none(testing::test_memory(), kept.view().capacity());
      const DeviceCodes original(kept.view());
      keep_from(kept.view(), bits, 100, last_key, none, host_stream_);
      const CodesView view = kept.view();
      const auto work = [&] {
        Codes again = codes_of(shape);
        const DeviceCodes device(again.view());
        const SelectionArrays scratch(again.view().capacity());
        cuda::keep_from(device.view(), bits, 100, last_key, scratch.room(), stream_);
        return std::tuple(device.row_offsets.values(), device.latents.values(), device.values.values());
      };
      auto [offsets, latents, values] = work();
      latents.resize(static_cast<size_t>(offsets.back()));
      values.resize(latents.size());
      ASSERT_EQ(offsets.back(), view.entries());
      EXPECT_TRUE(same_bytes(
          offsets, std::vector<int64_t>(view.row_offsets.data, view.row_offsets.data + view.rows() + 1)));
      EXPECT_TRUE(
          same_bytes(latents, std::vector<int32_t>(view.latents.data, view.latents.data + view.entries())));
      EXPECT_TRUE(
          same_bytes(values, std::vector<float>(view.values.data, view.values.data + view.entries())));
    }
  }
}

TEST_P(SelectBatchKernels, FindTheSmallestThatTheCpuFinds) {
  Codes codes = codes_of(GetParam());
  SelectionScratch none(testing::test_memory(), codes.view().capacity());
  const DeviceCodes device(codes.view());
  const SelectionArrays scratch(codes.view().capacity());
  const float expected = smallest_value(codes.view(), none, host_stream_);
  EXPECT_EQ(cuda::smallest_value(device.view(), scratch.room(), stream_), expected);
}

INSTANTIATE_TEST_SUITE_P(Shapes, SelectBatchKernels, ::testing::ValuesIn(kShapes));

using SelectBatchKernel = testing::KernelTest;

TEST_F(SelectBatchKernel, CountsHaveOneOrderAndNeedTheirBarriers) {
  Codes codes = codes_of({40, 300, 30});
  const DeviceCodes device(codes.view());
  const auto work = [&] {
    const SelectionArrays scratch(codes.view().capacity());
    const DeviceArray<int64_t> histogram(SelectionScratch::kMostBins);
    cuda::count_bits(device.view(), kFields[0], 0, scratch.room(), histogram.vector(), stream_);
    return histogram.values();
  };
  (void)in_every_order(work);
  if (testing::can_leave_out_barriers()) {
    EXPECT_TRUE(testing::needs_its_barriers(work));
  }
}

}  // namespace
}  // namespace orthant::kernels
