#include "kernels/codes/code_summary.h"

#include <gtest/gtest.h>

#include <limits>

#include "kernels/codes/statistics_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::DeviceCodes;
using testing::in_every_order;
using testing::make_vector;
using testing::random_codes;

class CodeSummaryKernel : public testing::KernelTest {
 protected:
  Stream host_;
};

TEST_F(CodeSummaryKernel, MarksAreThoseOfTheCpuForAnySlice) {
  Codes host = random_codes(30, 90, 100, 1);
  host.view().values.data[3] = std::numeric_limits<float>::quiet_NaN();
  const DeviceCodes codes(host.view());
  for (const auto& [first, count] : std::vector<std::pair<int64_t, int64_t>>{{0, 90}, {20, 31}, {90, 4}}) {
    for (const bool by_selection : {false, true}) {
      std::vector<int32_t> before(static_cast<size_t>(count), 0);
      before[2] = 1;  // of an earlier block of rows
      std::vector<int32_t> expected = before;
      mark_fired(host.view(), first, by_selection, {expected.data(), {count}}, host_);
      EXPECT_EQ(in_every_order([&, first = first] {
                  const DeviceArray<int32_t> fired{std::span<const int32_t>(before)};
                  cuda::mark_fired(codes.view(), first, by_selection, fired.vector(), stream_);
                  return fired.values();
                }),
                expected)
          << first << "+" << count;
    }
  }
}

TEST_F(CodeSummaryKernel, SmallestValuesAreThoseOfTheCpu) {
  Codes host = random_codes(30, 90, 70, 2);
  host.view().values.data[1] = std::numeric_limits<float>::quiet_NaN();
  const DeviceCodes codes(host.view());
  Tensor<float, 1> expected = make_vector<float>(30);
  smallest_of_rows(host.view(), expected.view(), host_);
  EXPECT_EQ(in_every_order([&] {
              const DeviceArray<float> smallest(30);
              cuda::smallest_of_rows(codes.view(), smallest.vector(), stream_);
              return smallest.values();
            }),
            std::vector<float>(expected.data(), expected.data() + 30));
}

TEST_F(CodeSummaryKernel, SumsOfLatentsAreThoseOfTheCpu) {
  constexpr int64_t kLatents = 9;
  Codes host = random_codes(200, kLatents, 6, 3);
  LatentOrder order(testing::test_memory(), kLatents, host.view().capacity());
  sort_by_latent(host.view(), 0, order.view(), host_);
  Tensor<double, 1> expected = make_vector<double>(kLatents);
  latent_value_sums(host.view(), order.view(), expected.view(), host_);
  const DeviceCodes codes(host.view());
  const DeviceArray<int64_t> offsets{std::span<const int64_t>(order.view().offsets.span())},
      entries{std::span<const int64_t>(order.view().entries.span())};
  const DeviceArray<int32_t> rows{std::span<const int32_t>(order.view().rows.span())};
  const std::vector<double> found = in_every_order([&] {
    const DeviceArray<double> sums(kLatents);
    cuda::latent_value_sums(codes.view(), {offsets.vector(), rows.vector(), entries.vector()}, sums.vector(),
                            stream_);
    return sums.values();
  });
  EXPECT_EQ(found, std::vector<double>(expected.data(), expected.data() + kLatents));
}

TEST_F(CodeSummaryKernel, NoRowsAreFine) {
  Codes host = random_codes(0, 5, 3, 1);
  const DeviceCodes codes(host.view());
  const DeviceArray<int32_t> fired{std::vector<int32_t>(5, 0)};
  cuda::mark_fired(codes.view(), 0, true, fired.vector(), stream_);
  EXPECT_EQ(fired.values(), std::vector<int32_t>(5, 0));
}

}  // namespace
}  // namespace orthant::kernels
