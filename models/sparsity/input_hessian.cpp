#include "models/sparsity/input_hessian.h"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <algorithm>

#include "runtime/core/error.h"

namespace orthant::models {
namespace {

constexpr int64_t kProductTokens = 512;
constexpr double kDamping = 0.01;  // of the mean of the diagonal

using Square = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void transpose(Matrix<const float> x, Matrix<float> into) {
  constexpr int64_t kTile = 16;
#pragma omp parallel for schedule(static)
  for (int64_t first = 0; first < into.shape[0]; first += kTile) {
    const int64_t end = std::min(first + kTile, into.shape[0]);
    for (int64_t t = 0; t < x.shape[0]; ++t) {
      for (int64_t i = first; i < end; ++i) into.row(i)[t] = x.row(t)[i];
    }
    for (int64_t i = first; i < end; ++i) std::fill(into.row(i) + x.shape[0], into.row(i + 1), 0.0f);
  }
}

// L^-1 of a lower triangular L: columns from b on are 0 above row b.
Square inverse_of_lower(const Square& lower) {
  constexpr Eigen::Index kColumns = 64;
  const Eigen::Index n = lower.rows();
  Square inverse = Square::Zero(n, n);
#pragma omp parallel for schedule(dynamic, 1)
  for (Eigen::Index b = 0; b < n; b += kColumns) {
    const Eigen::Index columns = std::min(kColumns, n - b);
    Square part = Square::Identity(n - b, columns);
    lower.bottomRightCorner(n - b, n - b).triangularView<Eigen::Lower>().solveInPlace(part);
    inverse.block(b, b, n - b, columns) = part;
  }
  return inverse;
}

}  // namespace

InputHessian::InputHessian(Memory& memory, int64_t inputs)
    : inputs_(inputs),
      sums_(memory, "hessian", {inputs, inputs}),
      columns_(memory, "hessian", {inputs, kProductTokens}),
      product_(memory, "hessian", {inputs, inputs}),
      packed_(memory, "hessian", inputs, kProductTokens) {
  clear();
}

void InputHessian::clear() {
  crops_ = 0;
  sums_.zero();
}

void InputHessian::add(Matrix<const float> x, Stream& stream) {
  require(x.shape[1] == inputs_, "rows have the inputs of the Hessian");
  for (int64_t first = 0; first < x.shape[0]; first += kProductTokens)
    add_tokens(x.rows(first, std::min(kProductTokens, x.shape[0] - first)), stream);
  ++crops_;
}

void InputHessian::add_tokens(Matrix<const float> x, Stream& stream) {
  transpose(x, columns_.view());
  packed_.pack(columns_.view(), stream);
  kernels::matmul_nt(columns_.view(), packed_, product_.view(), stream);
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < inputs_; ++i) {
    double* const sums = sums_.view().row(i);
    const float* const products = product_.view().row(i);
    for (int64_t j = 0; j < inputs_; ++j) sums[j] += static_cast<double>(products[j]);
  }
}

HessianFactor InputHessian::factor() const {
  const Eigen::Map<const Square> sums(sums_.data(), inputs_, inputs_);
  HessianFactor factor{inputs_, {}, std::vector<char>(static_cast<size_t>(inputs_))};
  // With rows and columns in reverse, H = L L^T gives H = R R^T of an upper R in the right order, and so
  // H^-1 = R^-T R^-1: the upper factor wanted, without the inverse itself.
  Square reversed = (2.0 / static_cast<double>(std::max<int64_t>(crops_, 1))) * sums.reverse();
  for (int64_t i = 0; i < inputs_; ++i) {
    const int64_t at = inputs_ - 1 - i;
    if (reversed(at, at) != 0.0) continue;
    factor.dead[static_cast<size_t>(i)] = 1;
    reversed(at, at) = 1.0;
  }
  const double damping = kDamping * reversed.diagonal().mean();
  reversed.diagonal().array() += damping;
  const Eigen::LLT<Square> cholesky(reversed);
  if (cholesky.info() != Eigen::Success || !reversed.allFinite()) {
    throw Error(ExitCode::kNonFinite,
                {.problem = fmt::format("the Hessian of {} inputs is not positive definite", inputs_),
                 .why = "the inputs on the calibration tokens are not finite",
                 .suggestion = "look whether the model's perplexity is finite before it is pruned"});
  }
  factor.upper.resize(static_cast<size_t>(inputs_ * inputs_));
  Eigen::Map<Square>(factor.upper.data(), inputs_, inputs_) = inverse_of_lower(cholesky.matrixL()).reverse();
  return factor;
}

}  // namespace orthant::models
