// By how much latents are to be scaled to explain targets: the closed form of least squares.
//
// For a latent with activations f_i and direction u, and targets y_i, beta minimises sum_i |beta f_i u -
// y_i|^2: beta = sum_i f_i <u, y_i> / (|u|^2 sum_i f_i^2) (Minder et al., arXiv 2504.02922, equation 4). Sums
// are f64, of each latent in the order of the rows, so they do not depend on threads or on how latents are
// cut into slices. Local to a slice; not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/codes/codes.h"
#include "kernels/codes/latent_step.h"

namespace orthant::sae {

class LatentScaling {
 public:
  // `directions` [local_latents, width] are those of latents from first_latent on, and outlive the object.
  LatentScaling(Matrix<const float> directions, int64_t first_latent, int64_t targets, Memory& memory);

  // More rows: their codes, all within the slice, on the CPU, and as many targets [rows, width].
  void add(kernels::CodesView codes, std::span<const Matrix<const float>> targets);

  // Rows in which the latent was above 0.
  [[nodiscard]] int64_t firings(int64_t local_latent) const {
    return firings_[static_cast<size_t>(local_latent)];
  }
  // sum_i f_i^2.
  [[nodiscard]] double squares(int64_t local_latent) const {
    return squares_[static_cast<size_t>(local_latent)];
  }
  // sum_i f_i <u, y_i>.
  [[nodiscard]] double products(int64_t local_latent, int64_t target) const {
    return products_[static_cast<size_t>(local_latent * targets_ + target)];
  }
  // Of the target plus `share` times the contribution f_i u itself. 0 where the latent never fired or has no
  // direction.
  [[nodiscard]] double beta(int64_t local_latent, int64_t target, double share = 0.0) const;

 private:
  Matrix<const float> directions_;
  int64_t first_latent_;
  int64_t targets_;
  Memory* memory_;
  int64_t capacity_ = 0;        // entries that order_ has room for
  kernels::LatentOrder order_;  // of the rows added last
  std::vector<int64_t> firings_;
  std::vector<double> squares_;
  std::vector<double> products_;           // [local_latents, targets]
  std::vector<double> squared_direction_;  // [local_latents]
};

}  // namespace orthant::sae
