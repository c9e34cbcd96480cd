#include "models/formats/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runtime/core/error.h"

namespace orthant::models {
namespace {

[[noreturn]] void throw_io(const std::string& path, std::string_view action, std::string why) {
  throw Error(ExitCode::kIo, {.problem = fmt::format("cannot {} {}", action, path),
                              .why = std::move(why),
                              .suggestion = "check the path and its permissions"});
}

class Descriptor {
 public:
  explicit Descriptor(const std::string& path) : value_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (value_ < 0) throw_io(path, "open", std::strerror(errno));
  }
  ~Descriptor() { close(value_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return value_; }

 private:
  int value_;
};

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const Descriptor file(path);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) throw_io(path, "examine", std::strerror(errno));
  if (!S_ISREG(status.st_mode)) throw_io(path, "read", "it is not a regular file");
  const auto size = static_cast<size_t>(status.st_size);
  if (size == 0) return;
  void* address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) throw_io(path, "map", std::strerror(errno));
  bytes_ = {static_cast<const std::byte*>(address), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace orthant::models
