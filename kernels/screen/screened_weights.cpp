#include "kernels/screen/screened_weights.h"

#include <algorithm>

namespace orthant::kernels {
namespace {

const ScreenOps& ops_of(Isa isa) {
  const ScreenOps* const ops = screen_ops(isa);
  require(ops != nullptr, "the instruction set has a screen");
  return *ops;
}

}  // namespace

ScreenedWeights::ScreenedWeights(Memory& memory, std::string_view segment, int64_t latents, int64_t depth,
                                 Precision precision)
    : latents_(latents),
      capacity_(latents),
      depth_(depth),
      precision_(precision),
      tiles_(memory, segment, {ScreenedRows::padded(latents) * depth_tiles() * kScreenDepth}),
      lengths_(memory, segment, {ScreenedRows::padded(latents)}),
      errors_(memory, segment, {ScreenedRows::padded(latents)}),
      scales_(memory, segment, {ScreenedRows::padded(latents)}) {
  require_precision(precision, memory.device());
}

void ScreenedWeights::pack(Matrix<const float> weights, Isa isa, Stream&) {
  require(weights.shape[1] == depth_, "screened weights have the depth of their construction");
  require(weights.shape[0] <= capacity_, "screened weights have room for all latents");
  latents_ = weights.shape[0];
  weights_ = weights.data;
  const ScreenOps& ops = ops_of(isa);
  const int64_t tile_values = depth_tiles() * kScreenTileBytes / 2;
  const bool rounds = precision_ == Precision::kBF16;
#pragma omp parallel for schedule(static)
  for (int64_t first = 0; first < ScreenedRows::padded(latents_); first += kScreenTile) {
    const int64_t count = std::clamp<int64_t>(latents_ - first, 0, kScreenTile);
    RoundedVector vectors[kScreenTile] = {};
    ops.pack_latents(weights.row(first), depth_, count, depth_, rounds,
                     tiles_.data() + first / kScreenTile * tile_values, vectors);
    for (int64_t i = 0; i < kScreenTile; ++i) {
      const ScreenMargin margin = margin_of_latent(vectors[i]);
      lengths_.data()[first + i] = margin.length;
      errors_.data()[first + i] = margin.error;
      scales_.data()[first + i] = margin.scale;
    }
  }
}

ScreenedRows::ScreenedRows(const ScreenedWeights& weights, Matrix<const float> x, Isa isa, uint16_t* tiles,
                           ScreenMargin* margins)
    : weights_(weights), x_(x), ops_(ops_of(isa)), tiles_(tiles), margins_(margins) {
  const bool rounds = weights.precision() == Precision::kBF16;
  const int64_t depth = weights.depth(), tile_values = weights.depth_tiles() * kScreenTileBytes / 2;
  for (int64_t first = 0; first < padded(x.shape[0]); first += kScreenTile) {
    const int64_t count = std::clamp<int64_t>(x.shape[0] - first, 0, kScreenTile);
    RoundedVector vectors[kScreenTile] = {};
    ops_.pack_rows(x.row(first), depth, count, depth, rounds, tiles + first / kScreenTile * tile_values,
                   vectors);
    for (int64_t r = 0; r < kScreenTile; ++r) {
      margins[first + r] = margin_of_row(vectors[r], depth);
    }
  }
}

void ScreenedRows::upper_bounds(int64_t first, int64_t count, float* bounds, int64_t stride) const {
  ops_.upper_bounds({.rows = tiles_,
                     .latents = weights_.tiles(first),
                     .row_tiles = padded(rows()) / kScreenTile,
                     .latent_tiles = padded(count) / kScreenTile,
                     .depth_tiles = weights_.depth_tiles(),
                     .row_margins = margins_,
                     .latent_lengths = weights_.lengths(first),
                     .latent_errors = weights_.errors(first),
                     .latent_scales = weights_.scales(first),
                     .bounds = bounds,
                     .stride = stride});
}

void ScreenedRows::products(int64_t r, const int32_t* chosen, int64_t count, float* products) const {
  ops_.chosen_products({.x = x_.row(r),
                        .weights = weights_.weights(),
                        .depth = weights_.depth(),
                        .chosen = chosen,
                        .count = count,
                        .rounds = weights_.precision() == Precision::kBF16,
                        .products = products});
}

}  // namespace orthant::kernels
