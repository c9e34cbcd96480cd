// A whole file mapped read-only into memory.
//
// The bytes stay valid as long as the object lives; the file must not shrink meanwhile. Thread-safe.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace orthant::models {

class MappedFile {
 public:
  // Throws Error(kIo) when the file is absent, unreadable or not a regular file.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::string path_;
  std::span<const std::byte> bytes_;
};

}  // namespace orthant::models
