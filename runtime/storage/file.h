// Files as the operating system gives them, with every short transfer, interruption and error accounted for.
//
// Reads and writes loop until all bytes are moved; close is checked, because a full disk may show only there.
// Any refusal throws Error(kIo) with the path and the system's own words; a file that ends too early throws
// Error(kData). A new file becomes visible under its name only by rename, after its bytes are on disk.
// One File belongs to one thread; read_at may be called from several.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orthant {

class File {
 public:
  [[nodiscard]] static File open(const std::string& path);  // for reading
  // Empty, for writing; an existing file is emptied.
  [[nodiscard]] static File create(const std::string& path);
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();  // closes without a check: what was written and not closed by close() is not promised

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int64_t size() const;
  // Up to `bytes` from `offset`; fewer only where the file ends.
  [[nodiscard]] int64_t read_at(void* into, int64_t bytes, int64_t offset) const;
  // Exactly `bytes`; throws Error(kData) naming the offset where the file ends before.
  void read_exactly_at(void* into, int64_t bytes, int64_t offset) const;
  // Appends at the end of what was written so far.
  void write(const void* data, int64_t bytes);
  void write_at(const void* data, int64_t bytes, int64_t offset);
  // Tells the system that the given bytes are read soon; never fails.
  void will_need(int64_t offset, int64_t bytes) const noexcept;
  void sync();   // returns when the bytes are on disk
  void close();  // checked; no other call may follow

 private:
  File(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  std::string path_;
  int descriptor_ = -1;
  int64_t written_ = 0;
};

// A whole file, read-only, in the address space. Thread-safe. The file must not be cut while it is mapped.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, static_cast<size_t>(size_)}; }
  [[nodiscard]] int64_t size() const { return size_; }

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  int64_t size_ = 0;
};

// The whole text of a small file.
[[nodiscard]] std::string read_file(const std::string& path);
// The file is either the old one or the new one, whatever is killed and whenever.
void replace_file(const std::string& path, std::string_view content);
void rename_path(const std::string& from, const std::string& to);
// Makes the names in a directory durable: after a creation, a rename or a removal.
void sync_directory(const std::string& directory);
// Makes the directory and its missing parents, durably; an existing one is fine.
void make_directory(const std::string& path);
// Removes a file or a whole directory; an absent one is fine.
void remove_path(const std::string& path);
// Names in a directory in ascending order; an absent directory has none.
[[nodiscard]] std::vector<std::string> names_in(const std::string& directory);
// The directory that holds `path`; "." where there is none.
[[nodiscard]] std::string parent_of(const std::string& path);

}  // namespace orthant
