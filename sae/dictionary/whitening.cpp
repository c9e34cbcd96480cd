#include "sae/dictionary/whitening.h"

#include <fmt/format.h>

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/share.h"

namespace orthant::sae {
namespace {

constexpr int64_t kBlockRows = 1024;
constexpr double kRidge = 1e-3;  // added to every eigenvalue

// Row-major, so that a rank's rows of the covariance are consecutive.
using SquareMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// The presample, block after block on every rank, whoever read which part.
class Blocks {
 public:
  Blocks(ActivationSource& source, int64_t rows, Communicator& world)
      : source_(&source),
        world_(&world),
        rows_(rows),
        block_(memory_, "presample", {kBlockRows, source.d_model()}),
        counts_(static_cast<size_t>(world.size())) {}
  [[nodiscard]] int64_t count() const { return (rows_ + kBlockRows - 1) / kBlockRows; }

  // Collective. [rows of the block, d_model]
  [[nodiscard]] Matrix<const float> read(int64_t index) {
    const int64_t first = index * kBlockRows;
    const Matrix<float> block = block_.view().rows(0, std::min(kBlockRows, rows_ - first));
    for (int r = 0; r < world_->size(); ++r) {
      counts_[static_cast<size_t>(r)] = share_of(block.shape[0], world_->size(), r).count * block.shape[1];
    }
    const Share mine = share_of(block.shape[0], world_->size(), world_->rank());
    if (mine.count > 0) {
      source_->read(Split::kTrain, first + mine.first, block.rows(mine.first, mine.count), nullptr);
    }
    Stream stream;
    world_->all_gather_uneven(block.row(mine.first), block.data, counts_, Dtype::kF32, stream);
    return block;
  }

 private:
  ActivationSource* source_;
  Communicator* world_;
  int64_t rows_;
  Memory memory_;
  Tensor<float, 2> block_;
  std::vector<int64_t> counts_;
};

Eigen::VectorXd mean_of(Blocks& blocks, int64_t rows, int64_t d_model) {
  Eigen::VectorXd sum = Eigen::VectorXd::Zero(d_model);
  for (int64_t b = 0; b < blocks.count(); ++b) {
    const Matrix<const float> block = blocks.read(b);
    for (int64_t r = 0; r < block.shape[0]; ++r) {
      for (int64_t c = 0; c < d_model; ++c) sum[c] += block.row(r)[c];
    }
  }
  return sum / static_cast<double>(rows);
}

// Each rank adds up its share of the rows of the covariance over all activations, in their order.
SquareMatrix covariance_of(Blocks& blocks, int64_t rows, const Eigen::VectorXd& mean, Communicator& world) {
  const int64_t d_model = mean.size();
  const Share mine = share_of(d_model, world.size(), world.rank());
  SquareMatrix own = SquareMatrix::Zero(mine.count, d_model);
  SquareMatrix centred(kBlockRows, d_model);
  for (int64_t b = 0; b < blocks.count(); ++b) {
    const Matrix<const float> block = blocks.read(b);
    for (int64_t r = 0; r < block.shape[0]; ++r) {
      for (int64_t c = 0; c < d_model; ++c) centred(r, c) = block.row(r)[c] - mean[c];
    }
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < mine.count; ++i) {
      double* const sums = own.data() + i * d_model;
      for (int64_t r = 0; r < block.shape[0]; ++r) {
        const double* const row = centred.data() + r * d_model;
        const double factor = row[mine.first + i];
        for (int64_t c = 0; c < d_model; ++c) sums[c] += factor * row[c];
      }
    }
  }
  own /= static_cast<double>(std::max<int64_t>(rows - 1, 1));
  SquareMatrix all(d_model, d_model);
  std::vector<int64_t> counts;
  for (int r = 0; r < world.size(); ++r) counts.push_back(share_of(d_model, world.size(), r).count * d_model);
  Stream stream;
  world.all_gather_uneven(own.data(), all.data(), counts, Dtype::kF64, stream);
  return all;
}

void refuse_unfit(const SquareMatrix& covariance, int64_t rows) {
  if (!covariance.allFinite()) {
    throw Error(ExitCode::kNonFinite,
                {.problem = fmt::format("the first {} activations hold values that are not finite", rows),
                 .why = "their covariance is not finite",
                 .suggestion = "Look for the rows, or leave them out by source.exclude.norm_ratio."});
  }
}

template <typename Factor>
void combine_axes(const Whitening& whitening, const float* row, float* out, Factor factor) {
  const int64_t width = whitening.d_model();
  std::vector<double> sum(static_cast<size_t>(width), 0.0);
  for (int64_t i = 0; i < width; ++i) {
    const double weight =
        factor(static_cast<double>(row[i]), static_cast<double>(whitening.spread.data()[i]));
    const float* const axis = whitening.axes.view().row(i);
    for (int64_t c = 0; c < width; ++c) sum[static_cast<size_t>(c)] += weight * axis[c];
  }
  for (int64_t c = 0; c < width; ++c) out[c] = static_cast<float>(sum[static_cast<size_t>(c)]);
}

template <int Rank>
void copy_tensor(const Tensor<float, Rank>& from, Tensor<float, Rank>& into) {
  copy_bytes(into.data(), into.view().device, from.data(), from.view().device, from.view().bytes());
}

}  // namespace

Whitening::Whitening(Memory& memory, std::string_view segment, int64_t d_model)
    : mean(memory, segment, {d_model}),
      axes(memory, segment, {d_model, d_model}),
      spread(memory, segment, {d_model}) {}

void copy_whitening(const Whitening& from, Whitening& into) {
  require(from.d_model() == into.d_model(), "both whitenings are of the same width");
  if (from.d_model() == 0) return;
  copy_tensor(from.mean, into.mean);
  copy_tensor(from.axes, into.axes);
  copy_tensor(from.spread, into.spread);
}

void find_whitening(ActivationSource& source, int64_t rows, Communicator& world, Whitening& into) {
  const int64_t d_model = into.d_model();
  if (const int64_t available = source.rows(Split::kTrain); available > 0) rows = std::min(rows, available);
  Blocks blocks(source, rows, world);
  const Eigen::VectorXd mean = mean_of(blocks, rows, d_model);
  const SquareMatrix covariance = covariance_of(blocks, rows, mean, world);
  refuse_unfit(covariance, rows);
  // Every rank solves it: the same instructions give the same bits, and nobody waits for one.
  const Eigen::SelfAdjointEigenSolver<SquareMatrix> solver(covariance);
  require(solver.info() == Eigen::Success, "the covariance has a decomposition");
  for (int64_t i = 0; i < d_model; ++i) {
    const int64_t from = d_model - 1 - i;  // eigenvalues come in ascending order
    into.mean.data()[i] = static_cast<float>(mean[i]);
    into.spread.data()[i] = static_cast<float>(std::sqrt(std::max(solver.eigenvalues()[from], 0.0) + kRidge));
    float* const axis = into.axes.view().row(i);
    for (int64_t c = 0; c < d_model; ++c) axis[c] = static_cast<float>(solver.eigenvectors()(c, from));
  }
}

void unwhiten_direction(const Whitening& whitening, const float* row, float* out) {
  combine_axes(whitening, row, out, [](double value, double spread) { return value * spread; });
}

void unwhiten_functional(const Whitening& whitening, const float* row, float* out) {
  combine_axes(whitening, row, out, [](double value, double spread) { return value / spread; });
}

}  // namespace orthant::sae
