#include "runtime/storage/stored_rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>
#include <optional>

#include "runtime/core/error.h"
#include "runtime/storage/activation_store.h"
#include "runtime/storage/npy.h"
#include "runtime/storage/safetensors.h"

namespace orthant {
namespace {

class StoreRows : public StoredRows {
 public:
  explicit StoreRows(const std::string& path) : store_(path) {}
  int64_t rows() const override { return store_.rows(); }
  int64_t d_model() const override { return store_.d_model(); }
  Dtype dtype() const override { return store_.dtype(); }
  int64_t block_rows() const override { return store_.block_rows(); }
  bool labelled() const override { return true; }
  void read_stored(int64_t first, int64_t count, std::byte* into,
                   std::vector<std::byte>& scratch) const override {
    store_.read_stored(first, count, into, scratch);
  }
  void read_labels(int64_t first, int64_t count, LabelledNorms& into) const override {
    store_.read_labels(first, count, into);
  }
  std::string token_hash() const override { return store_.token_hash(); }
  std::string identity() const override { return "store " + store_.content_hash(); }

 private:
  StoreReader store_;
};

class ArrayRows : public StoredRows {
 public:
  explicit ArrayRows(const std::string& path) {
    if (path.ends_with(".npy")) {
      npy_.emplace(path);
      take(path, npy_->shape(), safetensors_type(npy_->dtype()), npy_->data());
    } else {
      tensors_.emplace(path);
      const SafetensorsEntry& entry = tensors_->entry("activations");
      take(path, entry.shape, entry.type, tensors_->data(entry));
    }
  }
  int64_t rows() const override { return rows_; }
  int64_t d_model() const override { return d_model_; }
  Dtype dtype() const override { return dtype_; }
  int64_t block_rows() const override { return rows_per_block(d_model_, dtype_); }
  bool labelled() const override { return false; }
  void read_stored(int64_t first, int64_t count, std::byte* into, std::vector<std::byte>&) const override {
    require(first >= 0 && first + count <= rows_, "the rows lie in the array");
    const std::byte* from = data_.data() + first * row_bytes_;
    if (stored_as_is_) {
      std::memcpy(into, from, static_cast<size_t>(count * row_bytes_));
    } else {
      widen_stored(type_, from, {reinterpret_cast<float*>(into), static_cast<size_t>(count * d_model_)});
    }
  }
  void read_labels(int64_t first, int64_t count, LabelledNorms& into) const override {
    std::vector<float> row(static_cast<size_t>(d_model_));
    for (int64_t i = first; i < first + count; ++i) {
      widen_stored(type_, data_.data() + i * row_bytes_, row);
      double sum = 0;
      for (const float value : row) sum += static_cast<double>(value) * static_cast<double>(value);
      into.norms.push_back(static_cast<float>(std::sqrt(sum)));
    }
  }
  std::string identity() const override {
    const Hash128 hash = hash128(data_.data(), static_cast<int64_t>(data_.size()));
    return fmt::format("array {} [{},{}] {}", type_, rows_, d_model_, to_hex(hash));
  }

 private:
  void take(const std::string& path, const std::vector<int64_t>& shape, std::string_view type,
            std::span<const std::byte> data) {
    if (shape.size() != 2 || shape[1] < 1) {
      throw Error(ExitCode::kData,
                  {.problem = fmt::format("the array in {} has shape [{}]", path, fmt::join(shape, ",")),
                   .why = "[rows, d_model] is expected",
                   .suggestion = "Reshape it so that each row is one activation."});
    }
    rows_ = shape[0];
    d_model_ = shape[1];
    type_ = type;
    data_ = data;
    row_bytes_ = rows_ == 0 ? 0 : static_cast<int64_t>(data.size()) / rows_;
    stored_as_is_ = type == "F32" || type == "BF16" || type == "F16";
    dtype_ = type == "BF16" ? Dtype::kBF16 : type == "F16" ? Dtype::kF16 : Dtype::kF32;
  }

  std::optional<NpyReader> npy_;
  std::optional<SafetensorsReader> tensors_;
  int64_t rows_ = 0;
  int64_t d_model_ = 0;
  int64_t row_bytes_ = 0;  // in the file
  std::string type_;       // in the file
  Dtype dtype_ = Dtype::kF32;
  bool stored_as_is_ = false;
  std::span<const std::byte> data_;
};

}  // namespace

std::unique_ptr<StoredRows> open_store_rows(const std::string& path) {
  return std::make_unique<StoreRows>(path);
}
std::unique_ptr<StoredRows> open_array_rows(const std::string& path) {
  return std::make_unique<ArrayRows>(path);
}

}  // namespace orthant
