#include "kernels/dense/gemm_tile.h"
#include "kernels/isa/lanes.h"

namespace orthant::kernels {
namespace {

// A tile of kStripRows x kTilePanels keeps 12 of 16 ymm, or 24 of 32 zmm, registers as accumulators: enough
// chains to hide the latency of the multiply-add on both ports.
#if defined(__AVX512F__)
constexpr int kStripRows = 12;
constexpr int kTilePanels = 2;
constexpr int kAccumulators = 24;
#else
constexpr int kStripRows = 6;
constexpr int kTilePanels = 1;
constexpr int kAccumulators = 6;
#endif

// Panels taken together by a strip of `rows` rows: few rows read several panels at once, to have enough
// chains.
constexpr int panels_for(int rows) {
  const int fit = kAccumulators / rows;
  return fit >= 8 ? 8 : fit >= 4 ? 4 : fit >= 2 ? 2 : 1;
}

// out[0..kRows)[0..16 * kPanels) over the depth of the tile.
template <int kRows, int kPanels>
ORTHANT_LANES_INLINE void multiply_registers(const TileProduct& tile, const float* strip, const float* panel,
                                             const float* start, float* out) {
  Lanes sums[kRows][kPanels];
  for (int r = 0; r < kRows; ++r) {
    for (int p = 0; p < kPanels; ++p) {
      sums[r][p] = start != nullptr ? load(start + r * tile.start_stride + p * kLanes) : broadcast(0.0f);
    }
  }
#pragma GCC unroll 2
  for (int64_t k = 0; k < tile.depth; ++k) {
    Lanes weights[kPanels];
#pragma GCC unroll 8
    for (int p = 0; p < kPanels; ++p) weights[p] = load(panel + p * tile.panel_stride + k * kLanes);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      const Lanes x = broadcast(strip[k * kStripRows + r]);
#pragma GCC unroll 8
      for (int p = 0; p < kPanels; ++p) sums[r][p] = fused(x, weights[p], sums[r][p]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int p = 0; p < kPanels; ++p) store(out + r * tile.out_stride + p * kLanes, sums[r][p]);
  }
}

// Where the sums of strip `row / kStripRows` and panel `p` start.
ORTHANT_LANES_INLINE const float* start_of(const TileProduct& tile, int64_t row, int64_t p) {
  return tile.start == nullptr ? nullptr : tile.start + row * tile.start_stride + p * kLanes;
}

// All panels from `first_panel` with the strip of exactly kRows rows from `row`.
template <int kRows>
[[gnu::noinline]] void multiply_strip(const TileProduct& tile, int64_t row, int64_t first_panel) {
  constexpr int kPanels = panels_for(kRows);
  const float* const strip = tile.strips + row * tile.depth;
  float* const out = tile.out + row * tile.out_stride;
  int64_t p = first_panel;
  for (; p + kPanels <= tile.panel_count; p += kPanels) {
    multiply_registers<kRows, kPanels>(tile, strip, tile.panels + p * tile.panel_stride,
                                       start_of(tile, row, p), out + p * kLanes);
  }
  for (; p < tile.panel_count; ++p) {
    multiply_registers<kRows, 1>(tile, strip, tile.panels + p * tile.panel_stride, start_of(tile, row, p),
                                 out + p * kLanes);
  }
}

template <int kRows>
void multiply_last_strip(const TileProduct& tile, int64_t row) {
  if (tile.rows - row == kRows) {
    multiply_strip<kRows>(tile, row, 0);
  } else if constexpr (kRows > 1) {
    multiply_last_strip<kRows - 1>(tile, row);
  }
}

// While strips pass by one group of panels, the next group is called into the second-level cache, a share a
// strip.
ORTHANT_LANES_INLINE void prefetch_share(const float* panel, const TileProduct& tile, int64_t share,
                                         int64_t shares) {
  const int64_t first = tile.depth * share / shares, last = tile.depth * (share + 1) / shares;
  for (int p = 0; p < kTilePanels; ++p) {
    for (int64_t k = first; k < last; ++k)
      __builtin_prefetch(panel + p * tile.panel_stride + k * kLanes, 0, 2);
  }
}

[[gnu::noinline]] void multiply_full_strips(const TileProduct& tile, int64_t strips) {
  for (int64_t p = 0; p + kTilePanels <= tile.panel_count; p += kTilePanels) {
    const float* const panel = tile.panels + p * tile.panel_stride;
    const bool is_last = p + 2 * kTilePanels > tile.panel_count;
    const float* const next = is_last ? tile.following : panel + kTilePanels * tile.panel_stride;
    for (int64_t s = 0; s < strips; ++s) {
      prefetch_share(next, tile, s, strips);
      const int64_t row = s * kStripRows;
      float* out = tile.out + row * tile.out_stride + p * kLanes;
      for (int r = 0; r < kStripRows; ++r) __builtin_prefetch(out + (kStripRows + r) * tile.out_stride, 1, 3);
      multiply_registers<kStripRows, kTilePanels>(tile, tile.strips + row * tile.depth, panel,
                                                  start_of(tile, row, p), out);
    }
  }
}

void multiply(const TileProduct& tile) {
  const int64_t strips = tile.rows / kStripRows;
  if (strips > 0) multiply_full_strips(tile, strips);
  const int64_t left_over = tile.panel_count - tile.panel_count % kTilePanels;
  for (int64_t s = 0; s < strips && left_over < tile.panel_count; ++s) {
    multiply_strip<kStripRows>(tile, s * kStripRows, left_over);
  }
  if (strips * kStripRows < tile.rows) multiply_last_strip<kStripRows - 1>(tile, strips * kStripRows);
}

void pack_rows(const float* x, int64_t row_stride, int64_t rows, int64_t depth, float* strips) {
  for (int64_t first = 0; first < rows; first += kStripRows) {
    const float* from = x + first * row_stride;
    float* to = strips + first * depth;
    const int64_t count = rows - first < kStripRows ? rows - first : kStripRows;
    if (count == kStripRows) {
      for (int64_t k = 0; k < depth; ++k) {
#pragma GCC unroll 12
        for (int r = 0; r < kStripRows; ++r) to[k * kStripRows + r] = from[r * row_stride + k];
      }
    } else {
      for (int64_t r = 0; r < count; ++r) {
        for (int64_t k = 0; k < depth; ++k) to[k * kStripRows + r] = from[r * row_stride + k];
      }
    }
  }
}

}  // namespace

namespace ORTHANT_ISA {

const GemmOps& gemm_table() {
  static constexpr GemmOps kTable = {.strip_rows = kStripRows, .pack_rows = pack_rows, .multiply = multiply};
  return kTable;
}

}  // namespace ORTHANT_ISA
}  // namespace orthant::kernels
