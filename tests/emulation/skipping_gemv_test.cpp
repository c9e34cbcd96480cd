#include "kernels/sparse/skipping_gemv.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/ref/skipping_gemv.h"
#include "kernels/sparse/sparse_cuda.h"
#include "tests/emulation/kernel_test.h"
#include "tests/support/kept_list.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::KeptList;

class SkippingKernel : public testing::KernelTest {
 protected:
  // The bits of the runs that skipping_gemv.h promises.
  static std::vector<float> in_runs(const KeptList& kept, Matrix<const float> weights) {
    const auto count = static_cast<int64_t>(kept.inputs.size());
    const int64_t run = (count + kSkippingParts - 1) / kSkippingParts;
    std::vector<float> out;
    for (int64_t o = 0; o < weights.shape[0]; ++o) {
      float total = 0.0f;
      for (int64_t part = 0; part < kSkippingParts; ++part) {
        float sum = 0.0f;
        for (int64_t i = part * run; i < std::min(count, (part + 1) * run); ++i) {
          const auto at = static_cast<size_t>(i);
          sum = std::fmaf(kept.values[at], weights.row(o)[kept.inputs[at]], sum);
        }
        total = part == 0 ? sum : total + sum;
      }
      out.push_back(total);
    }
    return out;
  }

  void expect_runs(int64_t outputs, int64_t inputs, int64_t keep, int64_t group, WeightFormat format) {
    Tensor<float, 2> weights = testing::random_matrix(outputs, inputs, 3);
    const Tensor<float, 2> x = testing::random_matrix(1, inputs, 4);
    Memory memory;
    Stream host_stream;
    InputMajorWeights packed(memory, "weights", outputs, inputs, format);
    packed.pack(weights.view(), host_stream);
    packed.unpack(weights.view());
    const KeptList kept({x.data(), {inputs}}, keep, group);
    InputMajorRows rows = packed.rows();
    const DeviceArray<std::byte> device_rows(
        std::span<const std::byte>(rows.data, static_cast<size_t>(packed.bytes())));
    rows.data = device_rows.data();
    const DeviceArray<int32_t> device_inputs{std::span<const int32_t>(kept.inputs)};
    const DeviceArray<float> device_values{std::span<const float>(kept.values)};
    const auto work = [&] {
      const DeviceArray<float> out(outputs);
      cuda::skipping_gemv({device_inputs.vector(), device_values.vector()}, rows, out.vector(), stream_);
      return out.values();
    };
    const std::vector<float> found = testing::in_every_order(work);
    EXPECT_TRUE(testing::same_bytes(found, in_runs(kept, weights.view())))
        << outputs << " x " << inputs << " " << name_of(format);
    const auto reference = ref::skipping_gemv(kept.inputs, kept.values, weights.view());
    for (size_t o = 0; o < found.size(); ++o) {
      double size = 0.0;
      for (size_t i = 0; i < kept.inputs.size(); ++i) {
        const float weight = weights.view().row(static_cast<int64_t>(o))[kept.inputs[i]];
        size += std::abs(static_cast<double>(kept.values[i]) * static_cast<double>(weight));
      }
      const auto roundings = static_cast<double>(kept.inputs.size() + kSkippingParts);
      EXPECT_NEAR(found[o], reference[o], testing::kHalfUnit * roundings * size);
    }
    if (testing::can_leave_out_barriers() && outputs == 70 && inputs == 320) {
      EXPECT_TRUE(testing::needs_its_barriers(work));
    }
  }
};

TEST_F(SkippingKernel, AddsRunsOfChainsInTheirOrder) {
  for (const WeightFormat format : {WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kQ8}) {
    for (const int64_t outputs : {1, 32, 70}) {
      for (const int64_t inputs : {16, 48, 320}) expect_runs(outputs, inputs, 8, 16, format);
      expect_runs(outputs, 40, 1, 1, format);
      expect_runs(outputs, 3, 1, 3, format);
    }
  }
}

}  // namespace
}  // namespace orthant::kernels
