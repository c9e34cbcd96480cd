// Reads little-endian values from a mapped file in order, and refuses to pass its end.
//
// Every failure is Error(kData) naming the file, the offset and what was being read. Not thread-safe.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "runtime/core/error.h"
#include "runtime/storage/file.h"

namespace orthant::models {

class ByteCursor {
 public:
  explicit ByteCursor(const MappedFile& file) : file_(&file) {}

  [[nodiscard]] uint64_t offset() const { return offset_; }
  [[nodiscard]] uint64_t remaining() const { return file_->bytes().size() - offset_; }
  [[nodiscard]] const std::string& path() const { return file_->path(); }

  template <typename T>
  [[nodiscard]] T value(std::string_view what) {
    T result;
    std::memcpy(&result, view(sizeof(T), what).data(), sizeof(T));
    return result;
  }

  // The next `size` bytes, in place.
  [[nodiscard]] std::span<const std::byte> view(uint64_t size, std::string_view what) {
    if (size > remaining()) {
      throw Error(ExitCode::kData,
                  {.problem = fmt::format("{} ends within {} at byte {}", path(), what, offset_),
                   .why = fmt::format("{} bytes are needed and {} are left", size, remaining()),
                   .suggestion = "the file is truncated or damaged: fetch it again"});
    }
    const auto result = file_->bytes().subspan(offset_, size);
    offset_ += size;
    return result;
  }

  [[nodiscard]] std::string_view text(uint64_t size, std::string_view what) {
    const auto bytes = view(size, what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  const MappedFile* file_;
  uint64_t offset_ = 0;
};

}  // namespace orthant::models
