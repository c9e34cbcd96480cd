#include "runtime/comm/flight_recorder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>

#include "runtime/core/error.h"

namespace orthant {
namespace {

constexpr int64_t kEntriesOnStandardError = 16;

// A line that is formatted without allocation and written at once.
template <typename... Args>
void print(int file, fmt::format_string<Args...> format, Args&&... args) noexcept {
  std::array<char, 8192> line;
  const auto result = fmt::format_to_n(line.data(), line.size(), format, std::forward<Args>(args)...);
  const size_t bytes = std::min(static_cast<size_t>(result.size), line.size());
  size_t written = 0;
  while (written < bytes) {
    const ssize_t count = ::write(file, line.data() + written, bytes - written);
    if (count <= 0) return;
    written += static_cast<size_t>(count);
  }
}

}  // namespace

int64_t steady_now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void FlightRecorder::set_folder(std::string_view folder) {
  require(folder.size() < folder_.size(), "the folder of flight records has a path below 4096 bytes");
  folder_.fill('\0');
  std::copy(folder.begin(), folder.end(), folder_.begin());
}

int64_t FlightRecorder::begin(const Operation& operation, int64_t now_ns) {
  const int64_t sequence = begun_.load(std::memory_order_relaxed);
  ring_[static_cast<size_t>(sequence % kEntries)] = {operation, now_ns, 0};
  begun_.store(sequence + 1, std::memory_order_release);
  return sequence;
}

void FlightRecorder::end(int64_t sequence, int64_t now_ns) {
  if (begun_.load(std::memory_order_relaxed) - sequence > kEntries) return;
  ring_[static_cast<size_t>(sequence % kEntries)].ended_ns = now_ns;
}

const FlightEntry& FlightRecorder::entry(int64_t sequence) const {
  return ring_[static_cast<size_t>(sequence % kEntries)];
}

void FlightRecorder::write_entries(int file, int64_t now_ns, int64_t limit) const noexcept {
  const int64_t begun = begun_.load(std::memory_order_acquire);
  print(file, "{{\"rank\": {}, \"pid\": {}, \"operations\": {}, \"entries\": [", rank_, ::getpid(), begun);
  const int64_t first = std::max<int64_t>(0, begun - limit);
  for (int64_t sequence = first; sequence < begun; ++sequence) {
    const FlightEntry& entry = ring_[static_cast<size_t>(sequence % kEntries)];
    const Operation& operation = entry.operation;
    print(file,
          "{}\n  {{\"sequence\": {}, \"operation\": \"{}\", \"dtype\": \"{}\", \"elements\": {}, "
          "\"group_size\": {}, \"age_ms\": {:.3f}, \"duration_ms\": {}}}",
          sequence == first ? "" : ",", sequence, operation.name, name_of(operation.dtype),
          operation.elements, operation.group_size, static_cast<double>(now_ns - entry.started_ns) * 1e-6,
          entry.ended_ns == 0 ? -1.0 : static_cast<double>(entry.ended_ns - entry.started_ns) * 1e-6);
  }
  print(file, "\n]}}\n");
}

void FlightRecorder::write(int64_t now_ns) const noexcept {
  if (folder_[0] != '\0') {
    std::array<char, 4200> path{};
    fmt::format_to_n(path.data(), path.size() - 1, "{}/flight-{:05}.json", folder_.data(), rank_);
    const int file = ::open(path.data(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file >= 0) {
      write_entries(file, now_ns, kEntries);
      ::fsync(file);
      ::close(file);
      return;
    }
  }
  write_entries(STDERR_FILENO, now_ns, kEntriesOnStandardError);
}

}  // namespace orthant
