#include "kernels/codes/l1_penalty.h"

#include <gtest/gtest.h>

#include "kernels/codes/statistics_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::DeviceCodes;
using testing::make_vector;
using testing::on_device;
using testing::random_codes;
using testing::random_matrix;

constexpr int64_t kLatents = 300;
constexpr int64_t kFirst = 1000;

// Every call has the bits of the CPU.
class L1Kernel : public testing::KernelTest {
 protected:
  static Tensor<double, 1> random_doubles(uint64_t seed) {
    Tensor<double, 1> values = make_vector<double>(kLatents);
    for (int64_t i = 0; i < kLatents; ++i) {
      values.data()[i] =
          i % 9 == 0 ? 0.0 : 1.0 + random_uniform(seed, Purpose::kTest, 0, static_cast<uint64_t>(i));
    }
    return values;
  }
  static std::vector<double> values_of(const Tensor<double, 1>& t) { return {t.data(), t.data() + kLatents}; }
  Stream host_;
};

TEST_F(L1Kernel, GradientsOfValues) {
  Codes host = random_codes(30, kLatents, 280, 1);
  for (int32_t& latent : host.view().latents.span()) latent += kFirst;
  const DeviceCodes codes(host.view());
  const int64_t capacity = host.view().capacity(), entries = host.view().entries();
  Tensor<double, 1> weights = random_doubles(2), none = make_vector<double>(0);
  for (const Tensor<double, 1>* of : {&weights, &none}) {
    Tensor<float, 2> gradients = random_matrix(1, capacity, 3);
    const auto found = on_device(gradients);
    const auto device_weights = on_device(*of);
    add_l1_gradients(host.view(), kFirst, 0.3, of->view(), {gradients.data(), {capacity}}, host_);
    cuda::add_l1_gradients(codes.view(), kFirst, 0.3, device_weights.vector(), found.vector(), stream_);
    const std::vector<float> values = found.values();
    for (int64_t e = 0; e < entries; ++e) ASSERT_EQ(values[static_cast<size_t>(e)], gradients.data()[e]) << e;
  }
}

TEST_F(L1Kernel, PenaltiesOfLatents) {
  const Tensor<double, 1> sums = random_doubles(4), weights = random_doubles(5),
                          none = make_vector<double>(0);
  const auto device_sums = on_device(sums);
  for (const Tensor<double, 1>* of : {&weights, &none}) {
    Tensor<double, 1> penalties = random_doubles(6);
    const auto found = on_device(penalties);
    const auto device_weights = on_device(*of);
    add_l1_penalties(sums.view(), of->view(), penalties.view(), host_);
    cuda::add_l1_penalties(device_sums.vector(), device_weights.vector(), found.vector(), stream_);
    EXPECT_EQ(found.values(), values_of(penalties));
  }
}

TEST_F(L1Kernel, GradientsOfNorms) {
  const Tensor<double, 1> sums = random_doubles(7), norms = random_doubles(8);
  const auto device_sums = on_device(sums), device_norms = on_device(norms);
  for (const int64_t width : {1, 33, 300}) {
    const Tensor<float, 2> decoder = random_matrix(kLatents, width, 9);
    Tensor<float, 2> gradient = random_matrix(kLatents, width, 10);
    const auto device_decoder = on_device(decoder), found = on_device(gradient);
    add_norm_gradients(0.3, sums.view(), norms.view(), decoder.view(), gradient.view(), host_);
    cuda::add_norm_gradients(0.3, device_sums.vector(), device_norms.vector(), device_decoder.matrix(width),
                             found.matrix(width), stream_);
    EXPECT_EQ(found.values(), std::vector<float>(gradient.data(), gradient.data() + kLatents * width));
  }
}

TEST_F(L1Kernel, GradientsOfNormsOfSeveralRowsALatent) {
  constexpr int64_t kRowsOfLatent = 3, kWidth = 33;
  const Tensor<double, 1> norms = random_doubles(8);
  Tensor<double, 1> sums = make_vector<double>(kLatents / kRowsOfLatent);
  for (int64_t i = 0; i < sums.shape()[0]; ++i)
    sums.data()[i] = i % 5 == 0 ? 0.0 : 1.0 + static_cast<double>(i);
  const auto device_sums = on_device(sums), device_norms = on_device(norms);
  const Tensor<float, 2> decoder = random_matrix(kLatents, kWidth, 9);
  Tensor<float, 2> gradient = random_matrix(kLatents, kWidth, 10);
  const auto device_decoder = on_device(decoder), found = on_device(gradient);
  add_norm_gradients(0.3, sums.view(), norms.view(), decoder.view(), gradient.view(), host_);
  cuda::add_norm_gradients(0.3, device_sums.vector(), device_norms.vector(), device_decoder.matrix(kWidth),
                           found.matrix(kWidth), stream_);
  EXPECT_EQ(found.values(), std::vector<float>(gradient.data(), gradient.data() + kLatents * kWidth));
}

}  // namespace
}  // namespace orthant::kernels
