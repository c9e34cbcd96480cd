#include "runtime/job/host.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>
#include <sstream>

namespace orthant {

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  file >> id;
  return id.empty() ? "unknown" : id;
}

std::string process_start(long pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  if (!std::getline(file, line)) return {};
  // Field 22; the command in field 2 may hold spaces and ends at the last parenthesis.
  const size_t after_command = line.rfind(')');
  if (after_command == std::string::npos) return {};
  std::istringstream rest(line.substr(after_command + 1));
  std::string word;
  rest >> word;
  if (word == "Z" || word == "X") return {};
  for (int field = 4; field <= 22; ++field) rest >> word;
  return word;
}

std::string utc_now() {
  const auto now = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now));
}

}  // namespace orthant
