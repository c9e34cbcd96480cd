// A GGUF container (versions 2 and 3, little-endian): metadata and tensors, mapped into memory.
//
// Everything is bounds-checked once, at opening; views point into the mapping and live as long as the object.
// Immutable after construction; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "models/formats/ggml_type.h"
#include "runtime/storage/file.h"

namespace orthant::models {

// Array elements of numbers are widened; arrays of arrays are checked and left out.
using GgufValue = std::variant<bool, int64_t, uint64_t, double, std::string_view,
                               std::vector<std::string_view>, std::vector<int64_t>, std::vector<double>>;

struct GgufTensor {
  std::vector<int64_t> shape;  // outermost first, as Hugging Face and numpy write it
  GgmlType type = GgmlType::kF32;
  uint64_t offset = 0;               // in the file
  std::span<const std::byte> bytes;  // empty when the type cannot be read
};

class GgufFile {
 public:
  // Throws Error(kIo) or Error(kData) naming the file and the offset.
  explicit GgufFile(const std::string& path);

  [[nodiscard]] const std::string& path() const { return file_.path(); }
  [[nodiscard]] std::span<const std::byte> bytes() const { return file_.bytes(); }
  [[nodiscard]] uint32_t version() const { return version_; }
  [[nodiscard]] const std::map<std::string, GgufTensor, std::less<>>& tensors() const { return tensors_; }
  [[nodiscard]] const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }

  // Nothing when the key is absent; Error(kData) when its value is of another kind.
  [[nodiscard]] std::optional<int64_t> integer(std::string_view key) const;
  [[nodiscard]] std::optional<double> real(std::string_view key) const;
  [[nodiscard]] std::optional<bool> boolean(std::string_view key) const;
  [[nodiscard]] std::optional<std::string_view> text(std::string_view key) const;
  // Empty when the key is absent.
  [[nodiscard]] std::span<const std::string_view> texts(std::string_view key) const;
  [[nodiscard]] std::span<const int64_t> integers(std::string_view key) const;
  [[nodiscard]] std::span<const double> reals(std::string_view key) const;

 private:
  template <typename T>
  [[nodiscard]] const T* find(std::string_view key, std::string_view kind) const;

  MappedFile file_;
  uint32_t version_ = 0;
  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::map<std::string, GgufTensor, std::less<>> tensors_;
};

// Whether the file begins as a GGUF file does.
[[nodiscard]] bool is_gguf(std::span<const std::byte> bytes);

}  // namespace orthant::models
