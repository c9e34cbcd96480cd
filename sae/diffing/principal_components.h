// Principal components of rows that come in blocks: in f64, in one pass, each rank holding a part of the
// rows of every covariance matrix.
//
// Blocks are added in their order on all ranks, and the panels of a matrix are multiplied by the same shapes
// whoever has them, so the bits do not depend on the number of ranks or threads. Sums are of rows less a
// shift, the mean of the first block with rows, so that a mean far from 0 costs no digits. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/comm/world.h"
#include "runtime/core/share.h"
#include "runtime/device/tensor.h"
#include "runtime/job/checkpointable.h"

namespace orthant::sae {

struct PrincipalComponents {
  int64_t rows = 0;
  std::vector<double> mean;      // [width]
  std::vector<double> variance;  // [width] along each component, the largest first
  // [components, width] of length 1, the largest first; the coordinate of largest size is positive.
  std::vector<float> components;

  [[nodiscard]] double total_variance() const;
  // Of the total that the first `count` components have.
  [[nodiscard]] double share_of_first(int64_t count) const;
  // How many components of equal variance would spread as much: (sum of variances)^2 / sum of their squares.
  [[nodiscard]] double effective_dimension() const;
};

class Covariances : public Checkpointable {
 public:
  // `widths` of each place.
  Covariances(std::vector<int64_t> widths, Communicator& ranks);

  // Collective. Rows of the blocks of one round at `place`: rank r has the r-th block, or no rows.
  void add(size_t place, Matrix<const float> own_rows /* [rows, width] */);
  // Collective. The first `components` of each place, on every rank. Throws Error(kNonFinite) naming the
  // place where sums are not finite.
  [[nodiscard]] std::vector<PrincipalComponents> components(int64_t components, World& world) const;

  [[nodiscard]] std::vector<TensorSlice> state() override;

 private:
  // Of one place.
  struct Sums {
    int64_t width = 0;
    Share own = {};                // coordinates whose rows of the matrix this rank has
    int64_t rows = 0;              // added so far
    std::vector<double> shift;     // [width]
    std::vector<double> sum;       // [width] of rows less the shift
    std::vector<double> products;  // [own.count, width] of them
  };
  void add_block(Sums& sums, Matrix<const float> rows);
  // Collective. [width, width] on every rank.
  [[nodiscard]] std::vector<double> covariance(const Sums& sums) const;

  Communicator* ranks_;
  std::vector<Sums> places_;
  std::vector<float> gathered_;  // [rows of a round, width]
  std::vector<double> centred_;  // [rows of a block, width]
};

}  // namespace orthant::sae
