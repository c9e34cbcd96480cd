// Rows of activations that lie on disk in blocks: a store, or an array that somebody brought.
//
// What the order, the filters and the hold-out of a source are built on. Reading is thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/core/dtype.h"
#include "runtime/storage/store_layout.h"

namespace orthant {

class StoredRows {
 public:
  virtual ~StoredRows() = default;
  [[nodiscard]] virtual int64_t rows() const = 0;
  [[nodiscard]] virtual int64_t d_model() const = 0;
  [[nodiscard]] virtual Dtype dtype() const = 0;  // of what read_stored gives: f32, bf16 or f16
  [[nodiscard]] virtual int64_t block_rows() const = 0;
  // Whether rows have token ids, positions and documents.
  [[nodiscard]] virtual bool labelled() const = 0;
  // Rows [first, first + count) as dtype(). `scratch` is room that is kept between calls.
  virtual void read_stored(int64_t first, int64_t count, std::byte* into,
                           std::vector<std::byte>& scratch) const = 0;
  // Rows of stores that a row is made of; read_labels() gives the norm of each.
  [[nodiscard]] virtual int64_t parts() const { return 1; }
  // Appends the norms [count * parts], and the labels where there are any, of rows [first, first + count).
  virtual void read_labels(int64_t first, int64_t count, LabelledNorms& into) const = 0;
  // Equal where rows are the same tokens (see token_hash_of()); empty without labels.
  [[nodiscard]] virtual std::string token_hash() const { return {}; }
  // Equal texts mean equal rows.
  [[nodiscard]] virtual std::string identity() const = 0;
};

// A finished store. Throws Error(kData) when it is damaged.
[[nodiscard]] std::unique_ptr<StoredRows> open_store_rows(const std::string& path);
// A .npy file, or the tensor `activations` of a safetensors file, [rows, d_model] of any numeric type;
// without labels. Throws Error(kData) for another shape.
[[nodiscard]] std::unique_ptr<StoredRows> open_array_rows(const std::string& path);

}  // namespace orthant
