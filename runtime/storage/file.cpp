#include "runtime/storage/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/job/faults.h"

namespace orthant {
namespace {

// Linux moves at most 2 GiB - 4 KiB a call; a smaller piece keeps signals responsive.
constexpr int64_t kLargestTransfer = int64_t{1} << 30;

std::string_view advice_for(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return "Free space or choose another place, then run the same command again.";
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
      return "Check the path.";
    case EACCES:
    case EPERM:
    case EROFS:
      return "Check the permissions, or choose another place.";
    default:
      return "Check the disk, then run the same command again.";
  }
}

[[noreturn]] void fail(const std::string& path, std::string_view action, int error_number) {
  throw Error(ExitCode::kIo, {.problem = fmt::format("cannot {} {}", action, path),
                              .why = std::generic_category().message(error_number),
                              .suggestion = std::string(advice_for(error_number))});
}

int open_descriptor(const std::string& path, int flags, std::string_view action) {
  for (;;) {
    const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
    if (descriptor >= 0) return descriptor;
    if (errno != EINTR) fail(path, action, errno);
  }
}

int64_t size_of(int descriptor, const std::string& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) fail(path, "read the size of", errno);
  if (S_ISDIR(status.st_mode)) fail(path, "read", EISDIR);
  return status.st_size;
}

}  // namespace

File File::open(const std::string& path) {
  return {path, open_descriptor(path, O_RDONLY, "open")};
}

File File::create(const std::string& path) {
  return {path, open_descriptor(path, O_RDWR | O_CREAT | O_TRUNC, "create")};
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      written_(std::exchange(other.written_, 0)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(written_, other.written_);
  return *this;
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

int64_t File::size() const {
  return size_of(descriptor_, path_);
}

int64_t File::read_at(void* into, int64_t bytes, int64_t offset) const {
  int64_t done = 0;
  while (done < bytes) {
    const auto piece = static_cast<size_t>(std::min(bytes - done, kLargestTransfer));
    const ssize_t moved = ::pread(descriptor_, static_cast<std::byte*>(into) + done, piece, offset + done);
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0) fail(path_, fmt::format("read at offset {} of", offset + done), errno);
    if (moved == 0) break;
    done += moved;
  }
  return done;
}

void File::read_exactly_at(void* into, int64_t bytes, int64_t offset) const {
  const int64_t found = read_at(into, bytes, offset);
  if (found == bytes) return;
  throw Error(ExitCode::kData,
              {.problem = fmt::format("{} ends at offset {}", path_, offset + found),
               .why = fmt::format("{} bytes from offset {} were expected, {} found", bytes, offset, found),
               .suggestion = "The file is truncated; copy or make it again."});
}

void File::write(const void* data, int64_t bytes) {
  write_at(data, bytes, written_);
  written_ += bytes;
}

void File::write_at(const void* data, int64_t bytes, int64_t offset) {
  if (const int refused = fault_errno("file.write"); refused != 0) fail(path_, "write", refused);
  int64_t done = 0;
  while (done < bytes) {
    const auto piece = static_cast<size_t>(std::min(bytes - done, kLargestTransfer));
    const ssize_t moved =
        ::pwrite(descriptor_, static_cast<const std::byte*>(data) + done, piece, offset + done);
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0) fail(path_, fmt::format("write at offset {} of", offset + done), errno);
    if (moved == 0) fail(path_, fmt::format("write at offset {} of", offset + done), ENOSPC);
    done += moved;
  }
}

void File::will_need(int64_t offset, int64_t bytes) const noexcept {
  ::posix_fadvise(descriptor_, offset, bytes, POSIX_FADV_WILLNEED);
}

void File::sync() {
  if (const int refused = fault_errno("file.fsync"); refused != 0) fail(path_, "bring to disk", refused);
  while (::fsync(descriptor_) != 0) {
    if (errno != EINTR) fail(path_, "bring to disk", errno);
  }
}

void File::close() {
  if (const int refused = fault_errno("file.close"); refused != 0) fail(path_, "close", refused);
  // The descriptor is gone even when close fails, so it must not be closed again.
  if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) fail(path_, "close", errno);
}

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const int descriptor = open_descriptor(path, O_RDONLY, "open");
  try {
    size_ = size_of(descriptor, path);
    if (size_ > 0) {
      void* mapped = ::mmap(nullptr, static_cast<size_t>(size_), PROT_READ, MAP_SHARED, descriptor, 0);
      if (mapped == MAP_FAILED) fail(path, "map", errno);
      data_ = static_cast<const std::byte*>(mapped);
    }
  } catch (...) {
    ::close(descriptor);
    throw;
  }
  ::close(descriptor);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), static_cast<size_t>(size_));
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

std::string read_file(const std::string& path) {
  const File file = File::open(path);
  std::string text(static_cast<size_t>(file.size()), '\0');
  text.resize(static_cast<size_t>(file.read_at(text.data(), static_cast<int64_t>(text.size()), 0)));
  return text;
}

void replace_file(const std::string& path, std::string_view content) {
  const std::string temporary = fmt::format("{}.tmp.{}", path, ::getpid());
  try {
    File file = File::create(temporary);
    file.write(content.data(), static_cast<int64_t>(content.size()));
    file.sync();
    file.close();
    rename_path(temporary, path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_directory(parent_of(path));
}

void rename_path(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail(to, fmt::format("rename {} to", from), errno);
}

void sync_directory(const std::string& directory) {
  const int descriptor = open_descriptor(directory, O_RDONLY | O_DIRECTORY, "open");
  int result = 0;
  do {
    result = ::fsync(descriptor);
  } while (result != 0 && errno == EINTR);
  const int error_number = errno;
  ::close(descriptor);
  // Some file systems have no durable directories and say so; there is nothing more to do on them.
  if (result != 0 && error_number != EINVAL && error_number != ENOTSUP) {
    fail(directory, "bring to disk", error_number);
  }
}

void make_directory(const std::string& path) {
  std::error_code absent;
  if (path.empty() || std::filesystem::is_directory(path, absent)) return;
  const std::string parent = parent_of(path);
  make_directory(parent);
  if (::mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) fail(path, "make the directory", errno);
  sync_directory(parent);
}

void remove_path(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) fail(path, "remove", error.value());
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entries(directory, error);
  if (error && error.value() == ENOENT) return names;
  if (error) fail(directory, "list", error.value());
  for (const std::filesystem::directory_entry& entry : entries)
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string parent_of(const std::string& path) {
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
  const std::string parent = std::filesystem::path(trimmed).parent_path().string();
  return parent.empty() ? "." : parent;
}

}  // namespace orthant
