#include "sae/diffing/latent_scaling.h"

#include <algorithm>

#include "runtime/core/error.h"

namespace orthant::sae {
namespace {

double product_of(const float* a, const float* b, int64_t width) {
  double sum = 0.0;
  for (int64_t c = 0; c < width; ++c) sum += static_cast<double>(a[c]) * b[c];
  return sum;
}

}  // namespace

LatentScaling::LatentScaling(Matrix<const float> directions, int64_t first_latent, int64_t targets,
                             Memory& memory)
    : directions_(directions),
      first_latent_(first_latent),
      targets_(targets),
      memory_(&memory),
      firings_(static_cast<size_t>(directions.shape[0]), 0),
      squares_(static_cast<size_t>(directions.shape[0]), 0.0),
      products_(static_cast<size_t>(directions.shape[0] * targets), 0.0) {
  for (int64_t i = 0; i < directions.shape[0]; ++i) {
    squared_direction_.push_back(product_of(directions.row(i), directions.row(i), directions.shape[1]));
  }
}

void LatentScaling::add(kernels::CodesView codes, std::span<const Matrix<const float>> targets) {
  require(static_cast<int64_t>(targets.size()) == targets_, "targets are as many as were announced");
  const int64_t local = directions_.shape[0], width = directions_.shape[1];
  if (codes.entries() > capacity_ || capacity_ == 0) {
    capacity_ = std::max<int64_t>(codes.entries() + codes.entries() / 4, 1);
    order_ = kernels::LatentOrder(*memory_, local, capacity_);
  }
  Stream stream;
  const kernels::LatentOrderView order = order_.view();
  kernels::sort_by_latent(codes, first_latent_, order, stream);
#pragma omp parallel for schedule(dynamic, 64)
  for (int64_t i = 0; i < local; ++i) {
    for (int64_t at = order.offsets.data[i]; at < order.offsets.data[i + 1]; ++at) {
      const double value = codes.values.data[order.entries.data[at]];
      if (value <= 0.0) continue;
      ++firings_[static_cast<size_t>(i)];
      squares_[static_cast<size_t>(i)] += value * value;
      for (int64_t t = 0; t < targets_; ++t) {
        const float* const y = targets[static_cast<size_t>(t)].row(order.rows.data[at]);
        products_[static_cast<size_t>(i * targets_ + t)] += value * product_of(directions_.row(i), y, width);
      }
    }
  }
}

double LatentScaling::beta(int64_t local_latent, int64_t target, double share) const {
  const double whole = squares(local_latent) * squared_direction_[static_cast<size_t>(local_latent)];
  return whole > 0.0 ? products(local_latent, target) / whole + share : 0.0;
}

}  // namespace orthant::sae
