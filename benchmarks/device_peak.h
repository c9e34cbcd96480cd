// The measured peak of the dense product where a benchmark computes: what speeds are shares of. Main thread
// only.
#pragma once

#include "kernels/dense/gemm.h"
#include "kernels/dense/precision.h"
#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::benchmarks {

class DevicePeak {
 public:
  // On CUDA room for one square product of operands in `precision` is taken.
  DevicePeak(Device device, kernels::Precision precision);
  // Gflop/s now: of all threads' f32 multiply-adds on the CPU, of the product on CUDA.
  [[nodiscard]] double gflops();

 private:
  Memory memory_;
  Stream stream_;
  Tensor<float, 2> rows_;  // [kWidth, kWidth]
  Tensor<float, 2> out_;   // [kWidth, kWidth]
  kernels::PackedWeights weights_;
};

}  // namespace orthant::benchmarks
