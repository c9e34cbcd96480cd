// The safetensors container: a JSON header and raw little-endian tensors.
//
// The reader maps the file and checks everything before a tensor is given out: header at most 100 MB, offsets
// that tile the data exactly to the end of the file, shapes that match their bytes. The writer lays tensors
// out as the Python writer does (by element type, largest first, then by name; header padded with spaces to
// 8), so equal tensors give equal bytes. Reading is thread-safe; a writer belongs to one thread.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/dtype.h"
#include "runtime/storage/file.h"

namespace orthant {

using TensorMetadata = std::map<std::string, std::string>;

struct SafetensorsEntry {
  std::string name;
  std::string type;            // as the file writes it: "F32", "BF16", "F8_E4M3", ...
  Dtype dtype = Dtype::kF32;   // kU8 stands for the one-byte types that have no Dtype (BOOL, F8_*)
  std::vector<int64_t> shape;  // {} is a scalar
  int64_t offset = 0;          // of the first byte, from the start of the file
  int64_t bytes = 0;
  [[nodiscard]] int64_t elements() const { return bytes / bytes_of(dtype); }
  [[nodiscard]] int64_t rows() const { return shape.empty() ? 1 : shape[0]; }
};

class SafetensorsReader {
 public:
  // Throws Error(kData) naming file and offset when the container is damaged, Error(kIo) when it cannot be
  // read.
  explicit SafetensorsReader(const std::string& path);

  [[nodiscard]] const std::string& path() const { return file_.path(); }
  [[nodiscard]] int64_t size() const { return file_.size(); }
  // In the order of their bytes.
  [[nodiscard]] const std::vector<SafetensorsEntry>& entries() const { return entries_; }
  [[nodiscard]] const TensorMetadata& metadata() const { return metadata_; }
  [[nodiscard]] bool has(std::string_view name) const;
  // Throws Error(kData) listing what the file holds when there is no such tensor.
  [[nodiscard]] const SafetensorsEntry& entry(std::string_view name) const;
  // As above, and throws Error(kData) unless the shape is this; -1 stands for any extent.
  [[nodiscard]] const SafetensorsEntry& entry(std::string_view name, std::span<const int64_t> shape) const;
  // The stored bytes, not necessarily aligned to their element type.
  [[nodiscard]] std::span<const std::byte> data(const SafetensorsEntry& entry) const;
  // All elements as f32, whatever numeric type is stored. `into` has exactly the tensor's elements.
  void read(const SafetensorsEntry& entry, std::span<float> into) const;
  // Rows [first, first + count) of dimension 0 as f32.
  void read_rows(const SafetensorsEntry& entry, int64_t first, int64_t count, std::span<float> into) const;
  // All elements of an integer tensor; throws Error(kData) for floats.
  [[nodiscard]] std::vector<int64_t> read_integers(const SafetensorsEntry& entry) const;

 private:
  void parse_header(std::string_view text, int64_t data_start);
  void check_layout(int64_t data_start) const;
  MappedFile file_;
  std::vector<SafetensorsEntry> entries_;
  TensorMetadata metadata_;
};

// Elements of `type` ("F32", "I64", ...) as f32. `from` needs no alignment. Throws Error(kData) for 8-bit
// floats.
void widen_stored(std::string_view type, const std::byte* from, std::span<float> into);
// The name that safetensors gives an element type.
[[nodiscard]] std::string_view safetensors_type(Dtype dtype);

struct SafetensorsTensor {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
  const void* data = nullptr;  // null: given later by SafetensorsWriter::write
};

// Writes tensors in pieces, in any order among tensors; the file appears under its name in finish().
class SafetensorsWriter {
 public:
  SafetensorsWriter(const std::string& path, std::vector<SafetensorsTensor> tensors,
                    const TensorMetadata& metadata = {});
  ~SafetensorsWriter();  // without finish(): removes the unfinished file
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  // The next `bytes` bytes of tensor `name`.
  void write(std::string_view name, const void* data, int64_t bytes);
  // Throws Error(kInternal) when a tensor is incomplete.
  void finish();

 private:
  struct Place {
    int64_t offset = 0;
    int64_t bytes = 0;
    int64_t written = 0;
  };
  void begin(std::vector<SafetensorsTensor> tensors, const TensorMetadata& metadata);
  std::string path_;
  std::string temporary_;
  File file_;
  std::map<std::string, Place, std::less<>> places_;
  bool finished_ = false;
};

// The whole file at once; every tensor has its data.
void write_safetensors(const std::string& path, const std::vector<SafetensorsTensor>& tensors,
                       const TensorMetadata& metadata = {});

}  // namespace orthant
