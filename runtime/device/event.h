// A mark in a stream that another stream or the host waits for. On the CPU all work before it is complete.
// Not thread-safe.
#pragma once

#include "runtime/device/stream.h"

namespace orthant {

class Event {
 public:
  explicit Event(Device device = kCpu);
  ~Event();
  Event(Event&& other) noexcept;
  Event& operator=(Event&& other) noexcept;
  [[nodiscard]] Device device() const { return device_; }

  // Marks what was put on `stream`, which is on the event's device, so far.
  void record(Stream& stream);
  // What is put on `stream` from now on starts after the mark. Does not block.
  void hold(Stream& stream);
  // Whether the marked work has completed; true before the first record().
  [[nodiscard]] bool is_done() const;
  // Blocks until the marked work has completed.
  void synchronize() const;
  // The vendor's event; null on the CPU.
  [[nodiscard]] void* native() const { return native_; }

 private:
  Device device_;
  void* native_ = nullptr;
};

}  // namespace orthant
