// The Hessian of the squared error of a linear layer's outputs, from its inputs on calibration tokens, and
// the factor of its inverse that SparseGPT works with.
//
// Products of tokens are summed in f32 over at most 512 of them and from there on in f64; the factor is f64,
// because the condition of the Hessian is limited by its damping alone. Neither depends on the number of
// threads. On the CPU. Not thread-safe. Not Collective.
#pragma once

#include <vector>

#include "kernels/dense/gemm.h"

namespace orthant::models {

struct HessianFactor {
  int64_t inputs = 0;
  std::vector<double> upper;  // [inputs, inputs] U with H^-1 = U^T U, 0 below the diagonal
  std::vector<char> dead;     // [inputs] 1 where an input was 0 on all tokens
};

class InputHessian {
 public:
  InputHessian(Memory& memory, int64_t inputs);
  [[nodiscard]] int64_t inputs() const { return inputs_; }
  // Adds a crop: `x` [tokens, inputs].
  void add(Matrix<const float> x, Stream& stream);
  // H = 2 / crops * sum of x x^T over all tokens (SparseGPT; Frantar and Alistarh, section 3), where a dead
  // input counts as 1 on the diagonal, damped by 1 % of the mean of the diagonal. Throws Error(kNonFinite)
  // where the inputs were not finite.
  [[nodiscard]] HessianFactor factor() const;
  // Forgets all crops.
  void clear();

 private:
  void add_tokens(Matrix<const float> x, Stream& stream);

  int64_t inputs_;
  int64_t crops_ = 0;
  Tensor<double, 2> sums_;         // [inputs, inputs] of x x^T
  Tensor<float, 2> columns_;       // [inputs, tokens of a product] x transposed, padded with zeros
  Tensor<float, 2> product_;       // [inputs, inputs]
  kernels::PackedWeights packed_;  // columns_
};

}  // namespace orthant::models
