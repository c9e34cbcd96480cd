// An order of work beside the main one: what is put on a lane runs while the main stream goes on, from a mark
// of the main stream to a mark that the main stream waits for. On the CPU, where calls are complete when they
// return, it changes nothing. Not thread-safe.
#pragma once

#include "runtime/device/event.h"

namespace orthant {

class Lane {
 public:
  explicit Lane(Device device = kCpu) : stream_(device), mark_(device) {}
  [[nodiscard]] Stream& stream() { return stream_; }

  // What is put on the lane from now on starts after what `main` has so far.
  Stream& begin(Stream& main) {
    mark_.record(main);
    mark_.hold(stream_);
    return stream_;
  }
  // What is put on `main` from now on starts after what the lane has so far.
  void join(Stream& main) {
    mark_.record(stream_);
    mark_.hold(main);
  }

 private:
  Stream stream_;
  Event mark_;
};

}  // namespace orthant
