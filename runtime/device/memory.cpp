#include "runtime/device/memory.h"

#include <fmt/format.h>
#include <sys/resource.h>

namespace orthant {

SegmentUse& Memory::segment_named(std::string_view name) {
  for (SegmentUse& use : segments_) {
    if (use.segment == name) return use;
  }
  return segments_.emplace_back(SegmentUse{.segment = std::string(name)});
}

Buffer Memory::allocate(std::string_view segment, int64_t bytes) {
  Buffer buffer = counts_only_ ? Buffer::reserved(device_, bytes) : Buffer(device_, bytes);
  const std::lock_guard lock(mutex_);
  segment_named(segment).allocated_bytes += bytes;
  return buffer;
}

void Memory::predict(std::string_view segment, int64_t bytes) {
  const std::lock_guard lock(mutex_);
  segment_named(segment).predicted_bytes += bytes;
}

void Memory::predict(const Memory& planned) {
  for (const SegmentUse& use : planned.segments()) predict(use.segment, use.allocated_bytes);
}

int64_t Memory::allocated_bytes() const {
  int64_t bytes = 0;
  for (const SegmentUse& use : segments()) bytes += use.allocated_bytes;
  return bytes;
}

std::vector<SegmentUse> Memory::segments() const {
  const std::lock_guard lock(mutex_);
  return segments_;
}

std::string Memory::table() const {
  constexpr double kMebibyte = 1024.0 * 1024.0;
  std::string text = fmt::format("{:<20}{:>14}{:>14}\n", "memory, MiB", "predicted", "allocated");
  SegmentUse total{.segment = "total"};
  const auto line = [&](const SegmentUse& use) {
    text += fmt::format("{:<20}{:>14.1f}{:>14.1f}\n", use.segment,
                        static_cast<double>(use.predicted_bytes) / kMebibyte,
                        static_cast<double>(use.allocated_bytes) / kMebibyte);
  };
  for (const SegmentUse& use : segments()) {
    total.predicted_bytes += use.predicted_bytes;
    total.allocated_bytes += use.allocated_bytes;
    line(use);
  }
  line(total);
  return text;
}

int64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace orthant
