// One rank's end of an NCCL communicator: how it comes up, takes calls, is waited for, fails and goes down.
//
// NCCL never blocks here: every call returns at once and is polled until it is done, an error is reported,
// the deadline passes or another thread aborts. While it polls, `progress` lets MPI serve the other ranks,
// which may need it to arrive. What goes wrong ends as the watchdog says: kExit writes the flight record,
// aborts NCCL within `abort_deadline` and ends the process with exit code 71; kThrow does the same and throws
// Error(kPeer). After an abort nothing is called any more. An error while the communicator comes up throws in
// both, because no other rank depends on this one yet. Used by one thread at a time; abort() by any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/comm/nccl_api.h"
#include "runtime/comm/watchdog.h"
#include "runtime/core/error.h"

namespace orthant {

// What the communicators of a rank share. All that it points to outlives them.
struct NcclRank {
  const NcclApi* api = nullptr;
  Watchdog* watchdog = nullptr;
  int device = 0;                            // its index
  std::function<void()> progress = [] {};    // called while a wait goes on
  int64_t most_count = int64_t{1} << 30;     // elements or bytes of one call; longer messages are cut
  int64_t most_scratch = int64_t{64} << 20;  // bytes of a message that are summed here at a time
  std::chrono::milliseconds abort_deadline{3000};
};

class NcclLink {
 public:
  // Collective over the ranks that have `id`. Errors: kDevice (CUDA failed), kConfig (NCCL refuses this
  // arrangement), kPeer.
  NcclLink(NcclRank own, const NcclId& id, int rank, int size);
  // Local: aborts unless close() or abort() ran.
  ~NcclLink();
  NcclLink(const NcclLink&) = delete;
  NcclLink& operator=(const NcclLink&) = delete;

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int size() const { return size_; }
  [[nodiscard]] const NcclRank& own() const { return own_; }
  [[nodiscard]] const NcclApi& api() const { return *own_.api; }

  // Starts an operation. Throws Error(kPeer) after an abort.
  [[nodiscard]] Watchdog::Watch begin(const char* name, Dtype dtype, int64_t elements);
  // Hands call(comm, i) for i in [0, calls) to NCCL as one group, or as several where it takes no more; every
  // rank must count the calls alike.
  void issue(Watchdog::Watch& watch, int64_t calls,
             const std::function<NcclStatus(NcclComm*, int64_t)>& call);
  // The operation is on `stream`. It is watched until it is done, by every later call.
  void end(Watchdog::Watch& watch, void* stream);
  // Returns when all that is on `stream` is done.
  void wait(Watchdog::Watch& watch, void* stream);

  // Makes memory of the device known to NCCL, which may then read it without a copy on the way.
  [[nodiscard]] void* register_buffer(Watchdog::Watch& watch, void* data, int64_t bytes);
  void deregister_buffer(Watchdog::Watch& watch, void* handle);

  // Collective. Ranks of equal `color` get a link to each other, ordered by `key`, then by rank.
  [[nodiscard]] std::unique_ptr<NcclLink> split(int color, int key);
  void close();           // Collective.
  void abort() noexcept;  // any thread, once

 private:
  // An operation that its stream has not done yet.
  struct Pending {
    Operation operation;
    int64_t sequence;
    int64_t expiry_ns;
    std::chrono::milliseconds deadline;
    void* event;
  };

  NcclLink(const NcclRank& own, NcclComm* comm) : own_(own), comm_(comm) {}
  void come_up(Watchdog::Watch& watch, NcclStatus status);
  [[nodiscard]] NcclStatus call(const Watchdog::Watch& watch, const std::function<NcclStatus()>& vendor);
  void check(Watchdog::Watch& watch, NcclStatus status);
  void settle(Watchdog::Watch& watch);
  [[nodiscard]] NcclStatus poll(Watchdog::Watch& watch, const std::function<bool(NcclStatus)>& is_done);
  void refuse_late(Watchdog::Watch& watch);
  void retire();
  [[nodiscard]] void* take_event();
  [[nodiscard]] std::string why(NcclStatus status);
  [[noreturn]] void fail(Watchdog::Watch& watch, const ErrorText& text);
  [[noreturn]] void throw_aborted(const Operation& operation) const;

  NcclRank own_;
  int rank_ = 0;
  int size_ = 1;
  NcclComm* comm_ = nullptr;
  NcclComm* made_ = nullptr;  // written by NCCL while a split is under way
  std::deque<Pending> pending_;
  std::vector<void*> events_;  // that nobody waits for
  std::mutex calls_;           // held during every call to NCCL, so that abort() overlaps none
  std::atomic<bool> aborted_{false};
  std::atomic<bool> closed_{false};
};

}  // namespace orthant
