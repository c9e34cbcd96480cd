// Named memory segments (weights, adam, codes, workspace, ...): what the plan predicts and what was
// allocated.
//
// Every large buffer is allocated through a Memory at the start of a run; nothing large is allocated per
// step. Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/device/buffer.h"

namespace orthant {

struct SegmentUse {
  std::string segment;
  int64_t predicted_bytes = 0;
  int64_t allocated_bytes = 0;
};

class Memory {
 public:
  explicit Memory(Device device = kCpu) : device_(device) {}
  // Counts what is asked of it and gives reserved buffers (buffer.h): objects constructed on it tell exactly
  // what they would allocate. They hold nothing, so they may be asked for shapes only.
  [[nodiscard]] static Memory counting(Device device = kCpu) { return {device, true}; }
  [[nodiscard]] bool counts_only() const { return counts_only_; }
  [[nodiscard]] Device device() const { return device_; }
  // Where streams and pinned buffers of what is constructed on it are: a plan needs no device.
  [[nodiscard]] Device working_device() const { return counts_only_ ? kCpu : device_; }
  [[nodiscard]] Buffer allocate(std::string_view segment, int64_t bytes);
  void predict(std::string_view segment, int64_t bytes);
  // What `planned` counted is predicted of this one.
  void predict(const Memory& planned);
  [[nodiscard]] int64_t allocated_bytes() const;
  // In order of first mention.
  [[nodiscard]] std::vector<SegmentUse> segments() const;
  // A table for the log: one line a segment and a total.
  [[nodiscard]] std::string table() const;

 private:
  Memory(Device device, bool counts_only) : device_(device), counts_only_(counts_only) {}
  SegmentUse& segment_named(std::string_view name);
  Device device_;
  bool counts_only_ = false;
  mutable std::mutex mutex_;
  std::vector<SegmentUse> segments_;
};

// The largest resident size this process had so far, in bytes.
[[nodiscard]] int64_t peak_resident_bytes();

}  // namespace orthant
