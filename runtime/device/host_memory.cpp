#include "runtime/device/host_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

namespace orthant {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

// The number after `key` in a file of lines "key number ..."; nothing where there is none.
std::optional<int64_t> value_beside(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string first;
    int64_t value = 0;
    if (words >> first >> value && first == key) return value;
  }
  return std::nullopt;
}

// A file that holds one number; nothing where it says "max" or is absent.
std::optional<int64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  int64_t value = 0;
  return file >> value ? std::optional(value) : std::nullopt;
}

struct GroupFiles {
  const char* limit;
  const char* usage;
  const char* cached;  // key in memory.stat
};
constexpr GroupFiles kVersion1{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};
constexpr GroupFiles kVersion2{"memory.max", "memory.current", "inactive_file"};

int64_t left_in(const std::string& folder, const GroupFiles& files) {
  const std::optional<int64_t> limit = number_in(folder + "/" + files.limit);
  if (!limit) return kUnlimited;
  const int64_t usage = number_in(folder + "/" + files.usage).value_or(0);
  const int64_t cached = value_beside(folder + "/memory.stat", files.cached).value_or(0);
  return std::max<int64_t>(0, *limit - std::max<int64_t>(0, usage - cached));
}

// The least that a group or one above it leaves; in a container `path` may lead nowhere, and the mount itself
// is the group.
int64_t left_above(const std::string& mount, std::string path, const GroupFiles& files) {
  int64_t least = left_in(mount, files);
  while (path.size() > 1) {
    least = std::min(least, left_in(mount + path, files));
    path.resize(path.rfind('/'));
  }
  return least;
}

int64_t left_by_control_groups(const std::string& root) {
  int64_t least = kUnlimited;
  std::ifstream groups(root + "/proc/self/cgroup");
  // Lines "number:controllers:path"; version 2 names no controllers.
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      least = std::min(least, left_above(root + "/sys/fs/cgroup", path, kVersion2));
    } else if (("," + controllers + ",").find(",memory,") != std::string::npos) {
      least = std::min(least, left_above(root + "/sys/fs/cgroup/memory", path, kVersion1));
    }
  }
  return least;
}

}  // namespace

int64_t available_host_bytes(const std::string& root) {
  const std::optional<int64_t> kibibytes = value_beside(root + "/proc/meminfo", "MemAvailable:");
  const int64_t available = kibibytes ? *kibibytes * 1024 : kUnlimited;
  return std::min(available, left_by_control_groups(root));
}

}  // namespace orthant
