// Encoder weights for screened selections: tiles of 16 bits with their margins, and the rows they were made
// from.
//
// See kernels/screen/screen.h. The weights themselves are borrowed: they must stay as they were packed for as
// long as anything is encoded. Thread-safe for reading.
#pragma once

#include <string_view>

#include "kernels/dense/precision.h"
#include "kernels/isa/isa.h"
#include "kernels/screen/screen.h"
#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

class ScreenedWeights {
 public:
  ScreenedWeights() = default;
  ScreenedWeights(Memory& memory, std::string_view segment, int64_t latents, int64_t depth,
                  Precision precision = Precision::kF32);
  // `weights` [latents, depth], latents <= those of the construction; columns() becomes theirs. The
  // instruction set must have a screen.
  void pack(Matrix<const float> weights, Isa isa, Stream& stream);
  [[nodiscard]] int64_t columns() const { return latents_; }
  [[nodiscard]] int64_t depth() const { return depth_; }
  // Of the exact products.
  [[nodiscard]] Precision precision() const { return precision_; }
  [[nodiscard]] int64_t depth_tiles() const { return (depth_ + kScreenDepth - 1) / kScreenDepth; }
  // From latent `first`, a multiple of kScreenStep.
  [[nodiscard]] const uint16_t* tiles(int64_t first) const {
    return tiles_.data() + first / kScreenTile * depth_tiles() * kScreenTileBytes / 2;
  }
  [[nodiscard]] const float* lengths(int64_t first) const { return lengths_.data() + first; }
  [[nodiscard]] const float* errors(int64_t first) const { return errors_.data() + first; }
  [[nodiscard]] const float* scales(int64_t first) const { return scales_.data() + first; }
  [[nodiscard]] const float* weights() const { return weights_; }

 private:
  int64_t latents_ = 0;
  int64_t capacity_ = 0;
  int64_t depth_ = 0;
  Precision precision_ = Precision::kF32;
  const float* weights_ = nullptr;  // [latents, depth]
  Tensor<uint16_t, 1> tiles_;       // [latents / 16, depth_tiles] tiles, latents padded to kScreenStep
  Tensor<float, 1> lengths_;        // [padded latents]
  Tensor<float, 1> errors_;         // [padded latents]
  Tensor<float, 1> scales_;         // [padded latents]
};

// A block of rows packed for a screen. The buffers are the caller's. Not thread-safe.
class ScreenedRows {
 public:
  [[nodiscard]] static int64_t padded(int64_t rows) {
    return (rows + kScreenStep - 1) / kScreenStep * kScreenStep;
  }
  // `tiles` [padded(rows) * depth_tiles * kScreenDepth], `margins` [padded(rows)].
  ScreenedRows(const ScreenedWeights& weights, Matrix<const float> x, Isa isa, uint16_t* tiles,
               ScreenMargin* margins);
  // bounds[r, i] >= product of row r and latent first + i, for all rows and `count` latents, up to
  // kScreenStep - 1 more of each being written. `first` is a multiple of kScreenStep.
  void upper_bounds(int64_t first, int64_t count, float* bounds, int64_t stride) const;
  // At most the product of row r and the latent of which `bound` is the upper bound.
  [[nodiscard]] float lower_bound(int64_t r, int64_t latent, float bound) const {
    const float margin = screen_margin(margins_[r], *weights_.lengths(latent), *weights_.errors(latent));
    return bound - 2.0f * margin;
  }
  // products[i] = product of row r with latent chosen[i], with the bits of matmul_nt.
  void products(int64_t r, const int32_t* chosen, int64_t count, float* products) const;
  [[nodiscard]] int64_t rows() const { return x_.shape[0]; }

 private:
  const ScreenedWeights& weights_;
  Matrix<const float> x_;
  const ScreenOps& ops_;
  uint16_t* tiles_;
  ScreenMargin* margins_;
};

}  // namespace orthant::kernels
