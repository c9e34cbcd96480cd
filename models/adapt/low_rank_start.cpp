#include "models/adapt/low_rank_start.h"

#include <fmt/format.h>

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "runtime/core/error.h"
#include "runtime/core/rng.h"

namespace orthant::models {
namespace {

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

RowMajor unpacked(const kernels::PackedWeights& weights) {
  constexpr int64_t kPanel = kernels::PackedWeights::kPanel;
  RowMajor matrix(weights.columns(), weights.depth());
  for (int64_t c = 0; c < weights.columns(); ++c) {
    for (int64_t k = 0; k < weights.depth(); ++k) {
      matrix(c, k) = static_cast<double>(weights.panel(c / kPanel)[k * kPanel + c % kPanel]);
    }
  }
  return matrix;
}

void store(const RowMajor& from, std::vector<float>& into) {
  for (Eigen::Index i = 0; i < from.size(); ++i)
    into[static_cast<size_t>(i)] = static_cast<float>(from.data()[i]);
}

// The eigenvectors of the `rank` largest eigenvalues of a symmetric matrix, as columns, largest first, and
// the roots of the roots of the eigenvalues.
struct LargestModes {
  RowMajor vectors;
  Eigen::VectorXd fourth_roots;
};

LargestModes largest_modes(const RowMajor& gram, int64_t rank) {
  const Eigen::SelfAdjointEigenSolver<RowMajor> solver(gram);
  require(solver.info() == Eigen::Success, "a Gram matrix has a decomposition");
  LargestModes modes{RowMajor(gram.rows(), rank), Eigen::VectorXd(rank)};
  for (int64_t r = 0; r < rank; ++r) {
    const Eigen::Index from = gram.rows() - 1 - r;
    modes.vectors.col(r) = solver.eigenvectors().col(from);
    modes.fourth_roots[r] = std::pow(std::max(solver.eigenvalues()[from], 0.0), 0.25);
  }
  return modes;
}

// W = U S V^T: A = U sqrt(S), B = sqrt(S) V^T of the largest values, from the Gram matrix of the shorter
// side. What has the value 0 adds nothing.
void start_svd(const kernels::PackedWeights& weights, int64_t rank, LearnedProjection& into) {
  const RowMajor w = unpacked(weights);
  const bool is_wide = w.rows() < w.cols();
  const LargestModes modes =
      largest_modes(is_wide ? RowMajor(w * w.transpose()) : RowMajor(w.transpose() * w), rank);
  const Eigen::VectorXd inverse =
      modes.fourth_roots.unaryExpr([](double root) { return root > 0.0 ? 1.0 / root : 0.0; });
  const RowMajor scaled = modes.vectors * modes.fourth_roots.asDiagonal();
  const RowMajor divided = modes.vectors * inverse.asDiagonal();
  if (is_wide) {
    store(scaled, into.low_rank_out);
    store(divided.transpose() * w, into.low_rank_in);
    return;
  }
  store(w * divided, into.low_rank_out);
  store(scaled.transpose(), into.low_rank_in);
}

void start_random(std::vector<float>& values, uint64_t seed, int64_t tensor) {
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = 0.02f * random_normal(seed, Purpose::kLowRankStart, static_cast<uint32_t>(tensor), i);
  }
}

}  // namespace

void start_low_rank(LowRankStart start, const BlockWeights& weights, int64_t layer, int64_t rank,
                    uint64_t seed, LearnedBlock& block) {
  for (size_t p = 0; p < block.size(); ++p) {
    const kernels::PackedWeights& own = weights_of(weights, static_cast<Projection>(p));
    if (block[p].low_rank_out.empty() || rank <= std::min(own.columns(), own.depth())) continue;
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("rank {}", rank),
                 .why = fmt::format("the weights of {} are [{}, {}]", name_of(static_cast<Projection>(p)),
                                    own.columns(), own.depth()),
                 .suggestion = fmt::format("use at most {}", std::min(own.columns(), own.depth()))});
  }
  // One thread each: inside a parallel region Eigen multiplies by shapes alone.
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t p = 0; p < kProjections; ++p) {
    LearnedProjection& own = block[static_cast<size_t>(p)];
    if (own.low_rank_out.empty()) continue;
    if (start == LowRankStart::kSvd) {
      start_svd(weights_of(weights, static_cast<Projection>(p)), rank, own);
      continue;
    }
    const int64_t tensor = 2 * (layer * kProjections + p);
    start_random(own.low_rank_out, seed, tensor);
    start_random(own.low_rank_in, seed, tensor + 1);
  }
}

}  // namespace orthant::models
