#include "sae/diffing/principal_components.h"

#include <fmt/format.h>

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "runtime/core/error.h"

namespace orthant::sae {
namespace {

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr std::chrono::hours kDecomposition{2};
constexpr int64_t kPanel = 64;  // coordinates whose rows of the matrix are multiplied together

int64_t panels_of(int64_t width) {
  return (width + kPanel - 1) / kPanel;
}

// The coordinates of whole panels that rank `index` of `ranks` has.
Share coordinates_of(int64_t width, int ranks, int index) {
  const Share panels = share_of(panels_of(width), ranks, index);
  const int64_t first = std::min(panels.first * kPanel, width);
  return {first, std::min(panels.end() * kPanel, width) - first};
}

PrincipalComponents decomposed(const RowMajor& covariance, int64_t count) {
  const int64_t width = covariance.rows();
  const Eigen::SelfAdjointEigenSolver<RowMajor> solver(covariance);
  require(solver.info() == Eigen::Success, "the covariance has a decomposition");
  PrincipalComponents found;
  for (int64_t i = 0; i < width; ++i) {
    const int64_t from = width - 1 - i;  // eigenvalues come in ascending order
    found.variance.push_back(std::max(solver.eigenvalues()[from], 0.0));
    if (i >= count) continue;
    const auto column = solver.eigenvectors().col(from);
    Eigen::Index largest = 0;
    column.cwiseAbs().maxCoeff(&largest);
    const double sign = column[largest] < 0.0 ? -1.0 : 1.0;
    for (int64_t c = 0; c < width; ++c) found.components.push_back(static_cast<float>(sign * column[c]));
  }
  return found;
}

}  // namespace

double PrincipalComponents::total_variance() const {
  return std::accumulate(variance.begin(), variance.end(), 0.0);
}

double PrincipalComponents::share_of_first(int64_t count) const {
  const double total = total_variance();
  if (total <= 0.0) return 0.0;
  count = std::min(count, static_cast<int64_t>(variance.size()));
  return std::accumulate(variance.begin(), variance.begin() + count, 0.0) / total;
}

double PrincipalComponents::effective_dimension() const {
  const double total = total_variance();
  const double squares = std::inner_product(variance.begin(), variance.end(), variance.begin(), 0.0);
  return squares > 0.0 ? total * total / squares : 0.0;
}

Covariances::Covariances(std::vector<int64_t> widths, Communicator& ranks) : ranks_(&ranks) {
  for (const int64_t width : widths) {
    Sums& sums = places_.emplace_back();
    sums.width = width;
    sums.own = coordinates_of(width, ranks.size(), ranks.rank());
    sums.shift.assign(static_cast<size_t>(width), 0.0);
    sums.sum.assign(static_cast<size_t>(width), 0.0);
    sums.products.assign(static_cast<size_t>(sums.own.count * width), 0.0);
  }
}

void Covariances::add(size_t place, Matrix<const float> own_rows) {
  Sums& sums = places_[place];
  const auto size = static_cast<size_t>(ranks_->size());
  std::vector<int64_t> rows(size), elements(size);
  Stream stream;
  ranks_->all_gather(&own_rows.shape[0], rows.data(), 1, Dtype::kI64, stream);
  int64_t total = 0;
  for (size_t r = 0; r < size; ++r) {
    elements[r] = rows[r] * sums.width;
    total += elements[r];
  }
  gathered_.resize(static_cast<size_t>(std::max<int64_t>(total, 1)));
  ranks_->all_gather_uneven(own_rows.data, gathered_.data(), elements, Dtype::kF32, stream);
  const float* at = gathered_.data();
  for (size_t r = 0; r < size; ++r) {
    if (rows[r] > 0) add_block(sums, {at, {rows[r], sums.width}});
    at += elements[r];
  }
}

void Covariances::add_block(Sums& sums, Matrix<const float> rows) {
  const int64_t count = rows.shape[0], width = sums.width;
  if (sums.rows == 0) {
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t c = 0; c < width; ++c) sums.shift[static_cast<size_t>(c)] += rows.row(r)[c];
    }
    for (double& value : sums.shift) value /= static_cast<double>(count);
  }
  sums.rows += count;
  centred_.resize(static_cast<size_t>(count * width));
  for (int64_t r = 0; r < count; ++r) {
    double* const row = centred_.data() + r * width;
    for (int64_t c = 0; c < width; ++c) {
      row[c] = static_cast<double>(rows.row(r)[c]) - sums.shift[static_cast<size_t>(c)];
      sums.sum[static_cast<size_t>(c)] += row[c];
    }
  }
  const Eigen::Map<const RowMajor> centred(centred_.data(), count, width);
  const int64_t panels = panels_of(sums.own.count);
  // Inside a parallel region Eigen multiplies on one thread, by shapes that no number of ranks changes.
#pragma omp parallel for schedule(dynamic)
  for (int64_t p = 0; p < panels; ++p) {
    const int64_t first = p * kPanel;
    const int64_t height = std::min(kPanel, sums.own.count - first);
    Eigen::Map<RowMajor> products(sums.products.data() + first * width, height, width);
    products.noalias() += centred.middleCols(sums.own.first + first, height).transpose() * centred;
  }
}

std::vector<double> Covariances::covariance(const Sums& sums) const {
  const int64_t width = sums.width;
  std::vector<int64_t> counts;
  for (int r = 0; r < ranks_->size(); ++r) {
    counts.push_back(coordinates_of(width, ranks_->size(), r).count * width);
  }
  std::vector<double> all(static_cast<size_t>(width * width));
  Stream stream;
  ranks_->all_gather_uneven(sums.products.data(), all.data(), counts, Dtype::kF64, stream);
  const auto rows = static_cast<double>(std::max<int64_t>(sums.rows, 1));
  for (int64_t i = 0; i < width; ++i) {
    for (int64_t j = 0; j < width; ++j) {
      double& value = all[static_cast<size_t>(i * width + j)];
      value -= sums.sum[static_cast<size_t>(i)] * sums.sum[static_cast<size_t>(j)] / rows;
      value /= std::max(rows - 1.0, 1.0);
    }
  }
  return all;
}

std::vector<PrincipalComponents> Covariances::components(int64_t components, World& world) const {
  std::vector<PrincipalComponents> found(places_.size());
  const int size = ranks_->size(), rank = ranks_->rank();
  // Ranks without a place of their own wait for wide ones.
  const DeadlineScope patient(*world.control, kDecomposition);
  Stream stream;
  for (size_t first = 0; first < places_.size(); first += static_cast<size_t>(size)) {
    const size_t end = std::min(first + static_cast<size_t>(size), places_.size());
    std::vector<double> own;
    for (size_t place = first; place < end; ++place) {
      std::vector<double> all = covariance(places_[place]);
      if (place - first == static_cast<size_t>(rank)) own = std::move(all);
    }
    // One place a rank.
    agree(*world.control, "decompose the covariance", [&] {
      if (own.empty()) return;
      const size_t place = first + static_cast<size_t>(rank);
      const int64_t width = places_[place].width;
      const Eigen::Map<const RowMajor> matrix(own.data(), width, width);
      if (!matrix.allFinite()) {
        throw Error(ExitCode::kNonFinite,
                    {.problem = fmt::format("the rows of place {} are not finite", place),
                     .why = "their covariance is not",
                     .suggestion = "Look for the rows with orthant verify."});
      }
      found[place] = decomposed(matrix, components);
    });
    for (size_t place = first; place < end; ++place) {
      const int64_t width = places_[place].width;
      PrincipalComponents& each = found[place];
      each.variance.resize(static_cast<size_t>(width));
      each.components.resize(static_cast<size_t>(std::min(components, width) * width));
      const int root = static_cast<int>(place - first);
      ranks_->broadcast(each.variance.data(), width, Dtype::kF64, root, stream);
      ranks_->broadcast(each.components.data(), static_cast<int64_t>(each.components.size()), Dtype::kF32,
                        root, stream);
    }
  }
  for (size_t place = 0; place < places_.size(); ++place) {
    const Sums& sums = places_[place];
    found[place].rows = sums.rows;
    for (size_t c = 0; c < sums.sum.size(); ++c) {
      const double rows = static_cast<double>(std::max<int64_t>(sums.rows, 1));
      found[place].mean.push_back(sums.shift[c] + sums.sum[c] / rows);
    }
  }
  return found;
}

std::vector<TensorSlice> Covariances::state() {
  std::vector<TensorSlice> slices;
  const bool writes = ranks_->rank() == 0;
  for (size_t place = 0; place < places_.size(); ++place) {
    Sums& sums = places_[place];
    const auto whole = [&](const char* name, void* data, Dtype dtype, int64_t count) {
      slices.push_back({.name = fmt::format("{}.{}", name, place),
                        .dtype = dtype,
                        .shape = {count},
                        .rows = count,
                        .data = data,
                        .writes = writes});
    };
    whole("rows", &sums.rows, Dtype::kI64, 1);
    whole("shift", sums.shift.data(), Dtype::kF64, sums.width);
    whole("sum", sums.sum.data(), Dtype::kF64, sums.width);
    slices.push_back({.name = fmt::format("products.{}", place),
                      .dtype = Dtype::kF64,
                      .shape = {sums.width, sums.width},
                      .first_row = sums.own.first,
                      .rows = sums.own.count,
                      .data = sums.products.data()});
  }
  return slices;
}

}  // namespace orthant::sae
