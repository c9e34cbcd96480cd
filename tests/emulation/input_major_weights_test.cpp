#include "kernels/sparse/input_major_weights.h"

#include <gtest/gtest.h>

#include "kernels/sparse/sparse_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::on_device;

using InputMajorKernel = testing::KernelTest;

std::vector<uint8_t> host_bytes(Matrix<const float> weights, WeightFormat format) {
  Memory memory;
  Stream stream;
  InputMajorWeights packed(memory, "weights", weights.shape[0], weights.shape[1], format);
  packed.pack(weights, stream);
  std::vector<uint8_t> bytes(static_cast<size_t>(packed.bytes()));
  std::memcpy(bytes.data(), packed.rows().data, bytes.size());
  return bytes;
}

TEST_F(InputMajorKernel, PacksTheBytesOfTheCpu) {
  for (const WeightFormat format : {WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kQ8}) {
    for (const int64_t outputs : {1, 31, 64, 65, 130}) {
      for (const int64_t inputs : {1, 32, 37, 70}) {
        Tensor<float, 2> weights = testing::random_matrix(outputs, inputs, 3);
        weights.data()[0] = 0.0f;
        const auto device_weights = on_device(weights);
        Memory memory = Memory::counting();
        const InputMajorRows layout = InputMajorWeights(memory, "", outputs, inputs, format).rows();
        const auto work = [&] {
          // What a row has beside its weights and scales is nobody's.
          const DeviceArray<uint8_t> into(
              std::span<const uint8_t>(std::vector<uint8_t>(static_cast<size_t>(layout.row_bytes * inputs))));
          cuda::pack_input_major({device_weights.data(), {outputs, inputs}, testing::kernel_device()}, layout,
                                 reinterpret_cast<std::byte*>(into.data()), stream_);
          return into.values();
        };
        const std::vector<uint8_t> found = testing::in_every_order(work);
        std::vector<uint8_t> expected = host_bytes(weights.view(), format);
        if (format == WeightFormat::kQ8) {
          const int64_t used = layout.scales_at() + layout.padded_outputs() / kQ8Block * 2;
          for (int64_t i = 0; i < inputs; ++i) {
            for (int64_t b = used; b < layout.row_bytes; ++b)
              expected[static_cast<size_t>(i * layout.row_bytes + b)] = 0;
          }
        }
        ASSERT_TRUE(testing::same_bytes(found, expected))
            << name_of(format) << " " << outputs << " x " << inputs;
        if (testing::can_leave_out_barriers() && outputs == 65 && inputs == 37) {
          EXPECT_TRUE(testing::needs_its_barriers(work));
        }
      }
    }
  }
}

}  // namespace
}  // namespace orthant::kernels
