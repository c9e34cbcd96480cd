#include "runtime/comm/link_nccl.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <thread>
#include <utility>

namespace orthant {
namespace {

// NCCL takes fewer than 2048 operations in a group.
constexpr int64_t kGroupCalls = 2046;

constexpr int64_t kEagerPolls = 2000;
constexpr std::chrono::microseconds kPause{20};

// Of the watchdog: here the clock is looked at with every poll.
constexpr std::chrono::milliseconds kGrace{1000};

// A long wait must not take the core from the thread that everybody waits for.
void pause(int64_t polls) {
  if (polls < kEagerPolls) return std::this_thread::yield();
  std::this_thread::sleep_for(kPause);
}

// Whether `mutex` was free within `deadline`; then it is locked. Not std::timed_mutex, whose lock the thread
// sanitizer of GCC 12 does not see.
bool lock_within(std::mutex& mutex, std::chrono::milliseconds deadline) {
  const auto give_up = std::chrono::steady_clock::now() + deadline;
  while (!mutex.try_lock()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

ExitCode code_at_start(NcclStatus status) {
  switch (status) {
    case NcclStatus::kUnhandledCudaError:
      return ExitCode::kDevice;
    case NcclStatus::kInvalidArgument:
    case NcclStatus::kInvalidUsage:
      return ExitCode::kConfig;
    default:
      return ExitCode::kPeer;
  }
}

void print_failure(int rank, const ErrorText& text) {
  const Error error(ExitCode::kPeer, text);
  const std::string line = fmt::format("orthant: rank {}: {}\n", rank, error.what());
  [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

NcclLink::NcclLink(NcclRank own, const NcclId& id, int rank, int size)
    : own_(std::move(own)), rank_(rank), size_(size) {
  Watchdog::Watch watch(*own_.watchdog, {"start of NCCL", Dtype::kU8, 0, size}, kGrace);
  api().set_device(own_.device);
  come_up(watch, call(watch, [&] { return api().init_rank(comm_, size, id, rank); }));
}

NcclLink::~NcclLink() {
  abort();
  for (const Pending& pending : pending_) api().destroy_event(pending.event);
  for (void* const event : events_) api().destroy_event(event);
}

void NcclLink::come_up(Watchdog::Watch& watch, NcclStatus status) {
  if (is_fine(status)) {
    status = poll(watch, [](NcclStatus state) { return state == NcclStatus::kSuccess; });
  }
  if (status == NcclStatus::kSuccess) return;
  const ErrorText text{.problem = fmt::format("NCCL does not start among {} ranks", size_),
                       .why = why(status),
                       .suggestion = "NCCL_DEBUG=INFO tells more."};
  abort();
  throw Error(code_at_start(status), text);
}

NcclStatus NcclLink::call(const Watchdog::Watch& watch, const std::function<NcclStatus()>& vendor) {
  const std::lock_guard lock(calls_);
  if (aborted_) throw_aborted(watch.operation());
  return vendor();
}

void NcclLink::check(Watchdog::Watch& watch, NcclStatus status) {
  if (is_fine(status)) return;
  fail(watch,
       {.problem = fmt::format("NCCL failed in {}", to_string(watch.operation())),
        .why = why(status),
        .suggestion = "See the log of the other ranks for the first cause; NCCL_DEBUG=INFO tells more."});
}

std::string NcclLink::why(NcclStatus status) {
  const std::lock_guard lock(calls_);
  const std::string last = api().last_error(aborted_ ? nullptr : comm_);
  const std::string text = api().error_string(status);
  return last.empty() ? text : fmt::format("{}: {}", text, last);
}

// An error ends the wait at once and is returned.
NcclStatus NcclLink::poll(Watchdog::Watch& watch, const std::function<bool(NcclStatus)>& is_done) {
  for (int64_t polls = 0;; ++polls) {
    NcclStatus state = NcclStatus::kSuccess;
    const NcclStatus asked = call(watch, [&] { return api().async_error(comm_, state); });
    if (!is_fine(asked)) return asked;
    if (!is_fine(state)) return state;
    if (is_done(state)) return NcclStatus::kSuccess;
    refuse_late(watch);
    own_.progress();
    pause(polls);
  }
}

// A group that was handed over may not be on its stream before NCCL has settled.
void NcclLink::settle(Watchdog::Watch& watch) {
  check(watch, poll(watch, [](NcclStatus state) { return state == NcclStatus::kSuccess; }));
}

void NcclLink::refuse_late(Watchdog::Watch& watch) {
  const int64_t now = steady_now_ns();
  const bool is_pending = !pending_.empty() && now > pending_.front().expiry_ns;
  if (!is_pending && now <= watch.expiry_ns()) return;
  const Operation& late = is_pending ? pending_.front().operation : watch.operation();
  const auto deadline = is_pending ? pending_.front().deadline : watch.deadline();
  fail(watch, {.problem = fmt::format("gave up {} after {:.1f} s", to_string(late),
                                      std::chrono::duration<double>(deadline).count()),
               .why = "a rank has failed, stopped or taken another path",
               .suggestion = "The flight records tell what each rank was doing."});
}

void NcclLink::fail(Watchdog::Watch& watch, const ErrorText& text) {
  watch.leave_open();
  own_.watchdog->recorder().write(steady_now_ns());
  const bool ends = own_.watchdog->on_deadline() == OnDeadline::kExit;
  if (ends) print_failure(own_.watchdog->recorder().rank(), text);
  abort();
  if (ends) ::_exit(static_cast<int>(ExitCode::kPeer));
  throw Error(ExitCode::kPeer, text);
}

void NcclLink::throw_aborted(const Operation& operation) const {
  throw Error(ExitCode::kPeer,
              {.problem = std::string("no ") + operation.name, .why = "the communicator was aborted"});
}

// By a thread of its own, because it may never return.
void NcclLink::abort() noexcept {
  if (closed_ || aborted_.exchange(true)) return;
  try {
    // Who is stuck inside NCCL for longer is left to the watchdog.
    if (!lock_within(calls_, own_.abort_deadline)) return;
    NcclComm* const comm = std::exchange(comm_, nullptr);
    calls_.unlock();
    if (comm == nullptr) return;
    std::promise<void> aborted;
    const std::future<void> done = aborted.get_future();
    std::thread([vendor = api().abort, comm, ended = std::move(aborted)]() mutable {
      vendor(comm);
      ended.set_value();
    }).detach();
    done.wait_for(own_.abort_deadline);
  } catch (const std::exception& error) {
    const std::string line = fmt::format("orthant: NCCL was not aborted: {}\n", error.what());
    [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, line.data(), line.size());
  }
}

Watchdog::Watch NcclLink::begin(const char* name, Dtype dtype, int64_t elements) {
  const Operation operation{name, dtype, elements, size_};
  if (aborted_) throw_aborted(operation);
  require(!closed_, "no call follows close()");
  retire();
  return own_.watchdog->watch(operation, kGrace);
}

void NcclLink::issue(Watchdog::Watch& watch, int64_t calls,
                     const std::function<NcclStatus(NcclComm*, int64_t)>& vendor) {
  for (int64_t first = 0; first < calls; first += kGroupCalls) {
    const int64_t last = std::min(first + kGroupCalls, calls);
    check(watch, call(watch, [&] {
            NcclStatus status = api().group_start();
            for (int64_t i = first; i < last && is_fine(status); ++i) status = vendor(comm_, i);
            return is_fine(status) ? api().group_end() : status;
          }));
    settle(watch);
  }
}

void NcclLink::end(Watchdog::Watch& watch, void* stream) {
  void* const event = take_event();
  api().record_event(event, stream);
  pending_.push_back({watch.operation(), watch.leave_open(), watch.expiry_ns(), watch.deadline(), event});
}

void NcclLink::wait(Watchdog::Watch& watch, void* stream) {
  void* const event = take_event();
  api().record_event(event, stream);
  check(watch, poll(watch, [&](NcclStatus) {
          retire();
          return api().event_done(event);
        }));
  events_.push_back(event);
}

// Operations of a communicator are done in the order in which they were issued.
void NcclLink::retire() {
  while (!pending_.empty() && api().event_done(pending_.front().event)) {
    own_.watchdog->recorder().end(pending_.front().sequence, steady_now_ns());
    events_.push_back(pending_.front().event);
    pending_.pop_front();
  }
}

void* NcclLink::take_event() {
  if (events_.empty()) return api().create_event(own_.device);
  void* const event = events_.back();
  events_.pop_back();
  return event;
}

void* NcclLink::register_buffer(Watchdog::Watch& watch, void* data, int64_t bytes) {
  void* handle = nullptr;
  check(watch,
        call(watch, [&] { return api().register_buffer(comm_, data, static_cast<size_t>(bytes), handle); }));
  settle(watch);
  return handle;
}

void NcclLink::deregister_buffer(Watchdog::Watch& watch, void* handle) {
  check(watch, call(watch, [&] { return api().deregister_buffer(comm_, handle); }));
  settle(watch);
}

std::unique_ptr<NcclLink> NcclLink::split(int color, int key) {
  Watchdog::Watch watch = begin("split", Dtype::kU8, 0);
  require(color >= 0, "the color of a group is not negative");
  made_ = nullptr;
  check(watch, call(watch, [&] { return api().split(comm_, color, key, made_); }));
  settle(watch);
  require(made_ != nullptr, "NCCL made the group of a split");
  std::unique_ptr<NcclLink> link(new NcclLink(own_, std::exchange(made_, nullptr)));
  link->come_up(watch, NcclStatus::kInProgress);
  check(watch, link->call(watch, [&] { return api().rank_of(link->comm_, link->rank_); }));
  check(watch, link->call(watch, [&] { return api().size_of(link->comm_, link->size_); }));
  return link;
}

void NcclLink::close() {
  Watchdog::Watch watch = begin("close", Dtype::kU8, 0);
  check(watch, poll(watch, [&](NcclStatus) {
          retire();
          return pending_.empty();
        }));
  check(watch, call(watch, [&] { return api().finalize(comm_); }));
  settle(watch);
  check(watch, call(watch, [&] { return api().destroy(std::exchange(comm_, nullptr)); }));
  closed_ = true;
}

}  // namespace orthant
