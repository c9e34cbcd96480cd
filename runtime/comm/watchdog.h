// Gives every wait for other ranks a deadline and a name.
//
// Each operation is stamped into the flight recorder and watched while it runs. When its deadline passes:
//   kExit   a thread of the watchdog, which looks every 50 ms and never calls MPI, writes the flight record
//   and
//           ends the process with exit code 71, whatever the waiting thread is stuck in;
//   kThrow  (ranks that are threads) the waiting rank asks for its deadline itself and throws Error(kPeer).
// watch() and the setters belong to one thread, the one that communicates; operations do not nest.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "runtime/comm/deadlines.h"
#include "runtime/comm/flight_recorder.h"

namespace orthant {

enum class OnDeadline { kExit, kThrow };

class Watchdog {
 public:
  Watchdog(int rank, Deadlines deadlines, OnDeadline on_deadline);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // The operation is watched for as long as the object lives.
  class Watch {
   public:
    Watch(Watchdog& watchdog, const Operation& operation, std::chrono::milliseconds grace = {});
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    [[nodiscard]] const Operation& operation() const { return operation_; }
    [[nodiscard]] int64_t expiry_ns() const { return expiry_ns_; }  // steady clock
    [[nodiscard]] std::chrono::milliseconds deadline() const { return deadline_; }
    // Stops watching and leaves the entry of the flight record open: the operation goes on after the call, or
    // the caller ends the process by itself. Returns the entry's sequence number, for FlightRecorder::end().
    int64_t leave_open();

   private:
    friend class Watchdog;
    Watchdog& watchdog_;
    Operation operation_;
    std::chrono::milliseconds deadline_;
    int64_t sequence_;
    int64_t expiry_ns_;
    bool is_left_open_ = false;
  };
  // With `grace` the thread of the watchdog acts so much after the deadline: for a rank that looks at the
  // clock while it waits and ends in a better way than by being ended, unless it is stuck.
  [[nodiscard]] Watch watch(const Operation& operation, std::chrono::milliseconds grace = {}) {
    return Watch(*this, operation, grace);
  }

  // Later operations have the deadline of collectives instead of that of the start.
  void end_startup() { deadline_ = deadlines_.collective; }
  // Later operations have `deadline`; returns the one before.
  std::chrono::milliseconds set_deadline(std::chrono::milliseconds deadline);
  [[nodiscard]] FlightRecorder& recorder() { return recorder_; }
  [[nodiscard]] OnDeadline on_deadline() const { return on_deadline_; }

 private:
  void run();
  [[noreturn]] void expire(int64_t now_ns) noexcept;

  Deadlines deadlines_;
  std::chrono::milliseconds deadline_;
  OnDeadline on_deadline_;
  FlightRecorder recorder_;
  std::atomic<int64_t> expiry_ns_{0};  // of the running operation; 0: none
  std::atomic<int64_t> sequence_{0};
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  std::thread thread_;
};

// "all_reduce of 4096 f32 elements among 4 ranks"
[[nodiscard]] std::string to_string(const Operation& operation);

}  // namespace orthant
