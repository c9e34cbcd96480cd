// NumPy's .npy files: one array of f32, f64, f16, i32 or i64 in C order, header versions 1 to 3.
//
// The reader maps the file and requires that its bytes are exactly those that dtype and shape say. Reading is
// thread-safe; a writer belongs to one thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/core/dtype.h"
#include "runtime/storage/file.h"

namespace orthant {

class NpyReader {
 public:
  // Throws Error(kData) naming the file when it is damaged, in Fortran order or of another element type.
  explicit NpyReader(const std::string& path);
  [[nodiscard]] const std::string& path() const { return file_.path(); }
  [[nodiscard]] Dtype dtype() const { return dtype_; }
  [[nodiscard]] const std::vector<int64_t>& shape() const { return shape_; }
  [[nodiscard]] int64_t elements() const;
  // The stored bytes, not necessarily aligned to their element type.
  [[nodiscard]] std::span<const std::byte> data() const;
  // Elements [first, first + into.size()) in C order, converted to f32.
  void read(int64_t first, std::span<float> into) const;
  // All elements; throws Error(kData) for floats.
  [[nodiscard]] std::vector<int64_t> read_integers() const;

 private:
  void parse_header(const std::string& header);
  MappedFile file_;
  Dtype dtype_ = Dtype::kF32;
  std::vector<int64_t> shape_;
  int64_t data_start_ = 0;
};

// Writes an array in pieces; the file appears under its name in finish(). bf16 has no .npy type and is
// refused with Error(kConfig).
class NpyWriter {
 public:
  NpyWriter(const std::string& path, Dtype dtype, const std::vector<int64_t>& shape);
  ~NpyWriter();  // without finish(): removes the unfinished file
  NpyWriter(const NpyWriter&) = delete;
  NpyWriter& operator=(const NpyWriter&) = delete;
  void write(const void* data, int64_t bytes);
  // Throws Error(kInternal) when the array is incomplete.
  void finish();

 private:
  std::string path_;
  std::string temporary_;
  File file_;
  int64_t missing_bytes_ = 0;
  bool finished_ = false;
};

void write_npy(const std::string& path, Dtype dtype, const std::vector<int64_t>& shape, const void* data);

}  // namespace orthant
