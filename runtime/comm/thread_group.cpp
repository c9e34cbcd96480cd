#include "runtime/comm/thread_group.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace orthant {
namespace {

constexpr int kSpins = 2000;

std::chrono::steady_clock::time_point time_point(int64_t steady_ns) {
  return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(steady_ns));
}

bool match(const Post& a, const Post& b) {
  return std::string_view(a.operation.name) == b.operation.name && a.operation.dtype == b.operation.dtype &&
         a.operation.elements == b.operation.elements && a.detail == b.detail;
}

std::string describe(int rank, const Post& post) {
  return fmt::format("rank {} calls {} (argument {})", rank, to_string(post.operation), post.detail);
}

}  // namespace

ThreadRun::ThreadRun(int size, Deadlines deadlines) {
  for (int rank = 0; rank < size; ++rank) watchdogs_.emplace_back(rank, deadlines, OnDeadline::kThrow);
}

ThreadGroup& ThreadRun::make_group(std::vector<int> world_ranks) {
  const std::lock_guard lock(mutex_);
  ThreadGroup& group = groups_.emplace_back(*this, std::move(world_ranks));
  if (aborted_) group.abort(*aborted_);
  return group;
}

void ThreadRun::abort(const std::string& reason) noexcept {
  const std::lock_guard lock(mutex_);
  if (aborted_) return;
  aborted_ = reason;
  for (ThreadGroup& group : groups_) group.abort(reason);
}

ThreadGroup::ThreadGroup(ThreadRun& run, std::vector<int> world_ranks)
    : run_(run),
      world_ranks_(std::move(world_ranks)),
      size_(static_cast<int>(world_ranks_.size())),
      // Waiting in a loop takes the core from the rank that is waited for when there are more ranks than
      // cores.
      spins_(static_cast<unsigned>(size_) <= std::thread::hardware_concurrency()),
      posts_(static_cast<size_t>(size_)),
      here_(static_cast<size_t>(size_), false) {}

void ThreadGroup::abort(const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    if (!aborted_) aborted_ = reason;
  }
  all_here_.notify_all();
}

void ThreadGroup::post(int rank, const Post& post, const Watchdog::Watch& watch) {
  posts_[static_cast<size_t>(rank)] = post;
  enter(rank, watch);
  const Post& first = posts_.front();
  for (int other = 1; other < size_; ++other) {
    if (match(first, posted(other))) continue;
    throw Error(ExitCode::kInternal, {.problem = "ranks make different collective calls",
                                      .why = describe(0, first) + ", " + describe(other, posted(other)),
                                      .suggestion = "This is a bug in orthant; please report it."});
  }
}

bool ThreadGroup::passed(uint64_t generation) const {
  return generation_.load(std::memory_order_acquire) != generation;
}

bool ThreadGroup::spin(uint64_t generation) const {
  for (int i = 0; spins_ && i < kSpins; ++i) {
    if (passed(generation)) return true;
  }
  return false;
}

// True for the last rank, which lets the others go.
bool ThreadGroup::arrive(int rank, uint64_t generation) {
  here_[static_cast<size_t>(rank)] = true;
  if (++arrived_ < size_) return false;
  arrived_ = 0;
  std::fill(here_.begin(), here_.end(), false);
  generation_.store(generation + 1, std::memory_order_release);
  all_here_.notify_all();
  return true;
}

void ThreadGroup::enter(int rank, const Watchdog::Watch& watch) {
  std::unique_lock lock(mutex_);
  if (aborted_) throw_aborted(watch);
  const uint64_t generation = generation_.load(std::memory_order_relaxed);
  if (arrive(rank, generation)) return;
  lock.unlock();
  if (spin(generation)) return;
  lock.lock();
  const auto expiry = time_point(watch.expiry_ns());
  while (!passed(generation)) {
    if (aborted_) throw_aborted(watch);
    if (all_here_.wait_until(lock, expiry) != std::cv_status::timeout) continue;
    if (!passed(generation) && !aborted_) expire(rank, watch, lock);
  }
}

void ThreadGroup::meet(int rank) {
  std::unique_lock lock(mutex_);
  const uint64_t generation = generation_.load(std::memory_order_relaxed);
  if (arrive(rank, generation)) return;
  lock.unlock();
  if (spin(generation)) return;
  lock.lock();
  all_here_.wait(lock, [&] { return passed(generation); });
}

ThreadGroup::Seat ThreadGroup::split(int rank, int color, int key, const Watchdog::Watch& watch) {
  struct Request {
    int color;
    int key;
    ThreadGroup* made;
  };
  Request own{color, key, nullptr};
  post(rank, {.operation = watch.operation(), .receive = &own}, watch);
  const auto request_of = [&](int other) -> const Request& {
    return *static_cast<const Request*>(posted(other).receive);
  };
  std::vector<int> members;
  for (int r = 0; r < size_; ++r) {
    if (request_of(r).color == color) members.push_back(r);
  }
  std::stable_sort(members.begin(), members.end(),
                   [&](int a, int b) { return request_of(a).key < request_of(b).key; });
  if (members.front() == rank) {
    std::vector<int> world_ranks;
    for (const int member : members) world_ranks.push_back(world_rank(member));
    own.made = &run_.make_group(std::move(world_ranks));
  }
  meet(rank);
  ThreadGroup* const made = request_of(members.front()).made;
  leave(rank);
  const auto place = std::find(members.begin(), members.end(), rank) - members.begin();
  return {made, static_cast<int>(place)};
}

void ThreadGroup::throw_aborted(const Watchdog::Watch& watch) const {
  throw PeerFailed({.problem = fmt::format("gave up {}", to_string(watch.operation())), .why = *aborted_});
}

void ThreadGroup::expire(int rank, const Watchdog::Watch& watch, std::unique_lock<std::mutex>& lock) {
  std::string missing;
  for (int other = 0; other < size_; ++other) {
    if (!here_[static_cast<size_t>(other)])
      missing += fmt::format("{}{}", missing.empty() ? "" : ", ", other);
  }
  lock.unlock();
  run_.watchdog(world_rank(rank)).recorder().write(steady_now_ns());
  const ErrorText text{
      .problem = fmt::format("rank {} gave up {} after {:.1f} s", rank, to_string(watch.operation()),
                             std::chrono::duration<double>(watch.deadline()).count()),
      .why = fmt::format("rank {} did not come", missing)};
  run_.abort(text.problem + " (" + text.why + ")");
  throw Error(ExitCode::kPeer, text);
}

}  // namespace orthant
