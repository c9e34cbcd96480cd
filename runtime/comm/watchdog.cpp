#include "runtime/comm/watchdog.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "runtime/core/error.h"

namespace orthant {
namespace {

constexpr std::chrono::milliseconds kPoll{50};

int64_t nanoseconds(std::chrono::milliseconds duration) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
}

}  // namespace

std::string to_string(const Operation& operation) {
  return fmt::format("{} of {} {} elements among {} ranks", operation.name, operation.elements,
                     name_of(operation.dtype), operation.group_size);
}

Watchdog::Watch::Watch(Watchdog& watchdog, const Operation& operation, std::chrono::milliseconds grace)
    : watchdog_(watchdog), operation_(operation), deadline_(watchdog.deadline_) {
  const int64_t now = steady_now_ns();
  expiry_ns_ = now + nanoseconds(deadline_);
  sequence_ = watchdog.recorder_.begin(operation, now);
  watchdog.sequence_.store(sequence_, std::memory_order_relaxed);
  watchdog.expiry_ns_.store(expiry_ns_ + nanoseconds(grace), std::memory_order_release);
}

int64_t Watchdog::Watch::leave_open() {
  watchdog_.expiry_ns_.store(0, std::memory_order_release);
  is_left_open_ = true;
  return sequence_;
}

Watchdog::Watch::~Watch() {
  if (is_left_open_) return;
  watchdog_.expiry_ns_.store(0, std::memory_order_release);
  watchdog_.recorder_.end(sequence_, steady_now_ns());
}

Watchdog::Watchdog(int rank, Deadlines deadlines, OnDeadline on_deadline)
    : deadlines_(deadlines), deadline_(deadlines.startup), on_deadline_(on_deadline), recorder_(rank) {
  if (on_deadline == OnDeadline::kExit) thread_ = std::thread([this] { run(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::chrono::milliseconds Watchdog::set_deadline(std::chrono::milliseconds deadline) {
  return std::exchange(deadline_, deadline);
}

void Watchdog::run() {
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, kPoll, [this] { return end_; })) {
    const int64_t expiry = expiry_ns_.load(std::memory_order_acquire);
    const int64_t now = steady_now_ns();
    if (expiry != 0 && now > expiry) expire(now);
  }
}

void Watchdog::expire(int64_t now_ns) noexcept {
  const FlightEntry& entry = recorder_.entry(sequence_.load(std::memory_order_relaxed));
  std::array<char, 1024> text;
  const auto end = fmt::format_to_n(text.data(), text.size(),
                                    "orthant: rank {} gave up {} of {} {} elements among {} ranks after "
                                    "{:.1f} s (a rank has failed, stopped or "
                                    "taken another path) The flight records tell what each rank was doing.\n",
                                    recorder_.rank(), entry.operation.name, entry.operation.elements,
                                    name_of(entry.operation.dtype), entry.operation.group_size,
                                    static_cast<double>(now_ns - entry.started_ns) * 1e-9);
  const auto bytes = std::min(static_cast<size_t>(end.size), text.size());
  [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, text.data(), bytes);
  recorder_.write(now_ns);
  ::_exit(static_cast<int>(ExitCode::kPeer));
}

}  // namespace orthant
