#include "runtime/device/host_memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>

namespace orthant {
namespace {

// Control groups of version 2 and 1.
constexpr const char* kLimitFiles[] = {"/sys/fs/cgroup/memory.max",
                                       "/sys/fs/cgroup/memory/memory.limit_in_bytes"};

// Nothing is limited where the file is absent or says "max".
int64_t limit_in(const char* path) {
  std::ifstream file(path);
  int64_t bytes = 0;
  return file >> bytes && bytes > 0 ? bytes : std::numeric_limits<int64_t>::max();
}

int64_t measure() {
  int64_t bytes = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGE_SIZE);
  for (const char* path : kLimitFiles) bytes = std::min(bytes, limit_in(path));
  return bytes;
}

}  // namespace

int64_t host_memory_bytes() {
  static const int64_t bytes = measure();
  return bytes;
}

}  // namespace orthant
