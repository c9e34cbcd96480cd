#include "benchmarks/device_peak.h"

#include <chrono>

#include "kernels/dense/peak.h"

namespace orthant::benchmarks {
namespace {

constexpr int64_t kWidth = 8192;  // 1.1 Tflop: some milliseconds
constexpr int kProducts = 4;

}  // namespace

DevicePeak::DevicePeak(Device device, kernels::Precision precision) : memory_(device), stream_(device) {
  if (device.kind == DeviceKind::kCpu) return;
  rows_ = Tensor<float, 2>(memory_, "peak", {kWidth, kWidth});
  out_ = Tensor<float, 2>(memory_, "peak", {kWidth, kWidth});
  weights_ = kernels::PackedWeights(memory_, "peak", kWidth, kWidth, precision);
  rows_.zero();
  weights_.pack(rows_.view(), stream_);
  static_cast<void>(gflops());
}

double DevicePeak::gflops() {
  if (memory_.device().kind == DeviceKind::kCpu) return kernels::peak_gflops();
  stream_.synchronize();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kProducts; ++i) kernels::matmul_nt(rows_.view(), weights_, out_.view(), stream_);
  stream_.synchronize();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return kProducts * 2.0 * kWidth * kWidth * kWidth / seconds.count() / 1e9;
}

}  // namespace orthant::benchmarks
