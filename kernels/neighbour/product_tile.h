// Room for a tile of products of rows with candidates on CUDA; nothing on the CPU, where a tile is on the
// stack. Allocated once and used for every search. Not thread-safe.
#pragma once

#include <algorithm>
#include <string_view>

#include "runtime/device/tensor.h"

namespace orthant::kernels {

// Rows times candidates that are multiplied at a time, without influence on what is found. Neighbouring rows
// of the tile are `columns` apart, a multiple of 4.
struct TileShape {
  int64_t rows = 0;
  int64_t columns = 0;
  [[nodiscard]] int64_t elements() const { return rows * columns; }
};

// Enough work for a large device, and what stays in its second-level cache; less where there is less.
[[nodiscard]] constexpr TileShape tile_shape(int64_t rows, int64_t candidates) {
  constexpr int64_t kRows = 1024, kColumns = 8192;
  return {std::min(rows, kRows), std::min((candidates + 3) / 4 * 4, kColumns)};
}

// Borrowed.
struct TileView {
  float* products = nullptr;
  TileShape shape;
};

class ProductTile {
 public:
  ProductTile() = default;
  // For searches of at most `rows` rows among at most `candidates`, in any number of pieces.
  ProductTile(Memory& memory, std::string_view segment, int64_t rows, int64_t candidates)
      : shape_(tile_shape(rows, candidates)) {
    if (memory.device().kind == DeviceKind::kCuda) {
      products_ = Tensor<float, 1>(memory, segment, {shape_.elements()});
    }
  }
  [[nodiscard]] TileView view() { return {products_.data(), shape_}; }

 private:
  TileShape shape_;
  Tensor<float, 1> products_;
};

}  // namespace orthant::kernels
