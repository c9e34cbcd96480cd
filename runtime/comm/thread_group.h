// Where ranks that are threads of one process meet: a barrier with a deadline, and what each rank has posted.
//
// A collective is: post(), read or write the memory of the others, leave(). In between a rank may read every
// other rank's post, and must not throw unless all of them do. When a rank fails or a deadline passes, all
// groups of the run are aborted and every rank that waits for others to come throws; ranks that are all
// inside finish, so that nobody's memory goes away while another reads it. Thread-safe as described.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/comm/communicator.h"
#include "runtime/comm/control_group.h"
#include "runtime/comm/deadlines.h"
#include "runtime/comm/watchdog.h"
#include "runtime/core/error.h"

namespace orthant {

class ThreadGroup;

// Thrown where a wait ends because another rank failed, so that the first cause can be told from its
// consequences.
class PeerFailed : public Error {
 public:
  explicit PeerFailed(const ErrorText& text) : Error(ExitCode::kPeer, text) {}
};

// The groups and the watchdogs of one run of thread ranks; outlives all of its communicators.
class ThreadRun {
 public:
  ThreadRun(int size, Deadlines deadlines);
  [[nodiscard]] ThreadGroup& make_group(std::vector<int> world_ranks);
  [[nodiscard]] Watchdog& watchdog(int world_rank) { return watchdogs_[static_cast<size_t>(world_rank)]; }
  // Every present and future wait throws PeerFailed with `reason`; only the first call counts.
  void abort(const std::string& reason) noexcept;

 private:
  std::mutex mutex_;
  std::optional<std::string> aborted_;
  std::deque<Watchdog> watchdogs_;
  std::deque<ThreadGroup> groups_;
};

// What a rank brings to a meeting. Pointers stay valid until it has left the operation.
struct Post {
  Operation operation;
  int64_t detail = 0;  // root, distance, reduction: equal on all ranks
  const void* send = nullptr;
  void* receive = nullptr;
  std::span<const int64_t> send_counts = {};
  std::span<const int64_t> receive_counts = {};
};

class ThreadGroup {
 public:
  ThreadGroup(ThreadRun& run, std::vector<int> world_ranks);
  [[nodiscard]] ThreadRun& run() { return run_; }
  [[nodiscard]] int size() const { return size_; }
  [[nodiscard]] int world_rank(int rank) const { return world_ranks_[static_cast<size_t>(rank)]; }

  // Collective. Returns when all ranks are here. Throws PeerFailed after an abort, Error(kPeer) at the
  // deadline, and Error(kInternal) on every rank when the posts do not match.
  void post(int rank, const Post& post, const Watchdog::Watch& watch);
  [[nodiscard]] const Post& posted(int rank) const { return posts_[static_cast<size_t>(rank)]; }
  // Collective. Between post() and leave(): returns when all ranks have come this far.
  void meet(int rank);
  // Collective. Ends what post() began: returns when no rank reads this one's memory any more.
  void leave(int rank) { meet(rank); }
  void abort(const std::string& reason);

  // A rank's place in a group that was split off.
  struct Seat {
    ThreadGroup* group = nullptr;
    int rank = 0;
  };
  // Collective. Ranks of equal `color` form a group, ordered by `key`, then by rank.
  [[nodiscard]] Seat split(int rank, int color, int key, const Watchdog::Watch& watch);

 private:
  void enter(int rank, const Watchdog::Watch& watch);
  [[nodiscard]] bool arrive(int rank, uint64_t generation);
  [[nodiscard]] bool passed(uint64_t generation) const;
  [[nodiscard]] bool spin(uint64_t generation) const;
  [[noreturn]] void throw_aborted(const Watchdog::Watch& watch) const;
  [[noreturn]] void expire(int rank, const Watchdog::Watch& watch, std::unique_lock<std::mutex>& lock);

  ThreadRun& run_;
  std::vector<int> world_ranks_;
  int size_;
  bool spins_;
  std::vector<Post> posts_;
  std::mutex mutex_;
  std::condition_variable all_here_;
  std::vector<bool> here_;
  int arrived_ = 0;
  std::atomic<uint64_t> generation_{0};
  std::optional<std::string> aborted_;
};

// The two planes of one rank of a group.
[[nodiscard]] std::unique_ptr<Communicator> make_thread_communicator(ThreadGroup& group, int rank);
[[nodiscard]] std::unique_ptr<ControlGroup> make_thread_control_group(ThreadGroup& group, int rank);

}  // namespace orthant
