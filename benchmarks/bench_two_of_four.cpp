// The 2:4 product of cuSPARSELt beside the dense one of cuBLASLt, bf16, on a CUDA device: x [batch, d_model]
// times w [latents, d_model]. Two rows tell what sparse tensor cores gain: `2:4` of rows that are compressed
// already, as only static sparse weights are, and `2:4 with compression`, what masks that are new for every
// token cost. Without a device or the library it says so and measures nothing.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <vector>

#include "benchmarks/bench.h"
#include "benchmarks/device_peak.h"
#include "benchmarks/random_values.h"
#include "kernels/cuda/cuda_blas.h"
#include "kernels/dense/gemm_cuda.h"
#include "kernels/pruning/prune_rows.h"
#include "kernels/scalar.h"
#include "kernels/sparse/two_of_four.h"

namespace orthant::benchmarks {
namespace {

constexpr Device kDevice{DeviceKind::kCuda, 0};

using kernels::Precision;
using kernels::cuda::TwoOfFourProduct;

// bf16 operands: x with two of every four values 0, and w.
struct Operands {
  explicit Operands(const Flags& flags)
      : rows(memory, "x", {flags.batch, flags.d_model}),
        x(memory, "x", {flags.batch, flags.d_model}),
        w(memory, "w", {flags.latents, flags.d_model}),
        dense_out(memory, "out", {flags.batch, flags.latents}),
        sparse_out(memory, "out", {flags.batch, flags.latents}) {
    fill(rows.view(), 1);
    kernels::prune_rows({.x = rows.view(), .pattern = {2, 4}}, {.kept = rows.view()}, stream);
    kernels::cuda::pack_operand(rows.view(), nullptr, flags.batch, Precision::kBF16, x.data(), stream);
    Tensor<float, 2> weights(memory, "w", {flags.latents, flags.d_model});
    fill(weights.view(), 2);
    kernels::cuda::pack_operand(weights.view(), nullptr, flags.latents, Precision::kBF16, w.data(), stream);
    stream.synchronize();
  }
  static void fill(Matrix<float> into, uint32_t seed) {
    const std::vector<float> values = random_values(into.elements(), seed);
    copy_bytes(into.data, into.device, values.data(), kCpu, into.bytes());
  }
  Memory memory{kDevice};
  Stream stream{kDevice};
  Tensor<float, 2> rows;
  Tensor<uint16_t, 2> x, w;
  Tensor<float, 2> dense_out;
  Tensor<uint16_t, 2> sparse_out;
};

Timing timed(const Flags& flags, DevicePeak& peak, Stream& stream, const std::function<void()>& work) {
  constexpr int kAtOnce = 20;
  std::vector<double> milliseconds;
  for (int repetition = -1; repetition < flags.repetitions; ++repetition) {
    stream.synchronize();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kAtOnce; ++i) work();
    stream.synchronize();
    const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
    if (repetition >= 0) milliseconds.push_back(taken.count() / kAtOnce);
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  const double median = milliseconds[milliseconds.size() / 2], gflops = peak.gflops();
  // Of the work of the dense product: what a sparse one need not do counts as done.
  const double flop =
      2.0 * static_cast<double>(flags.batch * flags.latents) * static_cast<double>(flags.d_model);
  return {.ms_p50 = median,
          .ms_p95 = milliseconds[(milliseconds.size() * 95) / 100],
          .fraction_of_peak = flop / median / 1e6 / gflops,
          .peak_gflops = gflops};
}

void check(Operands& operands) {
  std::vector<float> dense(static_cast<size_t>(operands.dense_out.view().elements()));
  std::vector<uint16_t> sparse(dense.size());
  operands.stream.synchronize();
  copy_bytes(dense.data(), kCpu, operands.dense_out.data(), kDevice, operands.dense_out.view().bytes());
  copy_bytes(sparse.data(), kCpu, operands.sparse_out.data(), kDevice, operands.sparse_out.view().bytes());
  const auto depth = static_cast<float>(operands.x.shape()[1]);
  for (size_t i = 0; i < dense.size(); ++i) {
    // A rounding to bf16, and sums in two orders.
    const float allowed = std::abs(dense[i]) / 256.0f + 1.2e-7f * depth * std::sqrt(depth);
    require(std::abs(kernels::widened(sparse[i]) - dense[i]) <= allowed,
            "the 2:4 product equals the dense one");
  }
}

void bench(const Flags& flags) {
  if (cuda_device_count() == 0 || !kernels::cuda::has_two_of_four()) {
    fmt::print("not measured: {}\n", cuda_device_count() == 0
                                         ? "there is no CUDA device"
                                         : "cuSPARSELt is not in the build or on the host");
    return;
  }
  Operands operands(flags);
  TwoOfFourProduct product(operands.memory, flags.batch, flags.latents, flags.d_model);
  const kernels::cuda::BlasProduct dense(kDevice, flags.d_model, Precision::kBF16);
  DevicePeak peak(kDevice, Precision::kBF16);
  const auto multiply = [&] {
    product.multiply(operands.w.view(), operands.sparse_out.view(), operands.stream);
  };
  const auto compress = [&] { product.compress(operands.x.view(), operands.stream); };
  const auto multiply_dense = [&] {
    dense.run({operands.x.data(), flags.batch}, {operands.w.data(), flags.latents}, operands.dense_out.data(),
              flags.latents, operands.stream);
  };
  compress();
  std::vector<Result> results = {
      {"dense", "cuBLASLt bf16", flags.batch, timed(flags, peak, operands.stream, multiply_dense)},
      {"2:4", "cuSPARSELt bf16", flags.batch, timed(flags, peak, operands.stream, multiply)},
      {"2:4 with compression", "cuSPARSELt bf16", flags.batch, timed(flags, peak, operands.stream, [&] {
         compress();
         multiply();
       })}};
  if (flags.check) check(operands);
  for (Result& result : results)
    result.numbers = {{"times_dense", results[0].timing.ms_p50 / result.timing.ms_p50}};
  print(flags, results);
}

}  // namespace
}  // namespace orthant::benchmarks

int main(int argc, char** argv) {
  return orthant::benchmarks::run(argc, argv, orthant::benchmarks::bench);
}
