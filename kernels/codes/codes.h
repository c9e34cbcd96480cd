// Sparse codes: what an encoder returns for every architecture, and the one currency downstream of it.
//
// CSR with latents ascending in a row. Capacity is fixed at construction; an encode that needs more says so
// and is repeated by the caller with a larger capacity or row by row. Not thread-safe.
#pragma once

#include <cstdint>

#include "runtime/device/tensor.h"

namespace orthant::kernels {

// Borrowed codes of `rows` rows. Entries of row r are [row_offsets[r], row_offsets[r + 1]); the first offset
// may be other than 0. Latent numbers are global (first_latent of the shard added) unless a function says
// "local".
struct CodesView {
  Vector<int64_t> row_offsets;  // [rows + 1]
  Vector<int32_t> latents;      // [capacity]
  Vector<float> values;         // [capacity]
  [[nodiscard]] int64_t rows() const { return row_offsets.shape[0] - 1; }
  [[nodiscard]] int64_t entries() const { return row_offsets.data[rows()]; }
  [[nodiscard]] int64_t capacity() const { return latents.shape[0]; }
  // Rows [first, first + count): offsets stay absolute, so entry numbers keep their meaning.
  [[nodiscard]] CodesView row_range(int64_t first, int64_t count) const {
    return {{row_offsets.data + first, {count + 1}, row_offsets.device}, latents, values};
  }
};

class Codes {
 public:
  Codes() = default;
  Codes(Memory& memory, int64_t rows, int64_t capacity)
      : row_offsets_(memory, "codes", {rows + 1}),
        latents_(memory, "codes", {capacity}),
        values_(memory, "codes", {capacity}) {}
  // The first `rows` rows; all rows by default.
  [[nodiscard]] CodesView view(int64_t rows = -1) {
    Vector<int64_t> offsets = row_offsets_.view();
    if (rows >= 0) offsets.shape[0] = rows + 1;
    return {offsets, latents_.view(), values_.view()};
  }

 private:
  Tensor<int64_t, 1> row_offsets_;
  Tensor<int32_t, 1> latents_;
  Tensor<float, 1> values_;
};

}  // namespace orthant::kernels
