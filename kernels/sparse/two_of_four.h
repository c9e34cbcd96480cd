// The product of rows that are 2:4 sparse with dense weights, on sparse tensor cores by cuSPARSELt: for many
// rows at once, where skipping inputs gains nothing.
//
// out[r, c] = sum over k of x[r, k] * w[c, k], operands and results in bf16, sums in f32 in the library's
// order. The sparse instructions take their sparse operand first, so x is it and the rows of x are its rows.
// Masks are new for every token: x is compressed in each call, which costs more of a product than static
// sparse weights would (benchmarks/bench_two_of_four.cpp tells how much). One of two link-time twins: without
// the header of cuSPARSELt in the build, constructing throws "not configured". The library is loaded when it
// is first asked for. Not Collective. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels::cuda {

// Whether cuSPARSELt is in the build and can be loaded on this host.
[[nodiscard]] bool has_two_of_four();

// What cuSPARSELt knows of one shape.
class TwoOfFourPlan;

class TwoOfFourProduct {
 public:
  static constexpr int64_t kMultiple = 16;
  // rows, columns and depth above 0, multiples of kMultiple: fewer rows are padded by the caller. Takes room
  // for the compressed rows of `memory`, which is on a CUDA device. Throws Error(kDevice).
  TwoOfFourProduct(Memory& memory, int64_t rows, int64_t columns, int64_t depth);
  // `x` [rows, depth] of bf16 numbers, of which at most two in every aligned four of a row are not 0.
  void compress(Matrix<const uint16_t> x, Stream& stream);
  // `w` [columns, depth], `out` [rows, columns], of the rows that were compressed last.
  void multiply(Matrix<const uint16_t> w, Matrix<uint16_t> out, Stream& stream);

 private:
  std::array<int64_t, 3> shape_;  // rows, columns, depth
  std::shared_ptr<TwoOfFourPlan> plan_;
  Tensor<std::byte, 1> compressed_, compress_scratch_, workspace_;
};

}  // namespace orthant::kernels::cuda
