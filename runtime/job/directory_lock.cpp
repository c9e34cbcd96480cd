#include "runtime/job/directory_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/job/host.h"

namespace orthant {
namespace {

struct Holder {
  std::string host;
  long pid = 0;
  std::string boot;
  std::string start;  // tells the process from a later one of the same number
  bool operator==(const Holder&) const = default;
};

std::optional<Holder> read_holder(const std::string& path) {
  std::ifstream file(path);
  Holder holder;
  if (!(file >> holder.host >> holder.pid >> holder.boot >> holder.start)) return std::nullopt;
  return holder;
}

// Seconds between the last heartbeat of `lock` and the writing of `fresh`, both by the file system's clock.
int64_t heartbeat_age(const std::string& lock, const std::string& fresh) {
  struct stat old_state {};
  struct stat new_state {};
  if (stat(lock.c_str(), &old_state) != 0 || stat(fresh.c_str(), &new_state) != 0) return 0;
  return new_state.st_mtim.tv_sec - old_state.st_mtim.tv_sec;
}

bool is_alive(const Holder& holder, int64_t age_seconds) {
  if (holder.host != host_name()) return age_seconds < kLockIsDead.count();
  return holder.boot == boot_id() && process_start(holder.pid) == holder.start;
}

Holder this_process() {
  return {.host = host_name(), .pid = getpid(), .boot = boot_id(), .start = process_start(getpid())};
}

void write_claim(const std::string& path) {
  std::ofstream file(path, std::ios::trunc);
  const Holder own = this_process();
  file << fmt::format("{} {} {} {}\n", own.host, own.pid, own.boot, own.start);
  file.close();
  if (file) return;
  const int reason = errno;
  unlink(path.c_str());  // begun where the disk is full
  throw Error(ExitCode::kIo, {.problem = fmt::format("cannot write '{}'", path),
                              .why = std::strerror(reason),
                              .suggestion = "Free space, make it writable, or choose another --out."});
}

// Removes the lock unless its holder lives. One process at a time looks and removes, so that none removes
// what another has just taken: a lock appears only where there is none, and only its holder or a process
// that is in here takes it away.
void remove_if_dead(const std::string& lock, const std::string& claim) {
  const std::string turn = lock + ".takeover";
  const int descriptor = ::open(turn.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    throw Error(ExitCode::kIo, {.problem = fmt::format("cannot write '{}'", turn),
                                .why = std::strerror(errno),
                                .suggestion = "Make its directory writable, or choose another --out."});
  }
  if (flock(descriptor, LOCK_EX) == 0) {
    struct stat state {};
    const bool is_there = stat(lock.c_str(), &state) == 0;
    const std::optional<Holder> holder = is_there ? read_holder(lock) : std::nullopt;
    const bool lives = holder && is_alive(*holder, heartbeat_age(lock, claim));
    if (is_there && !lives) unlink(lock.c_str());
  }
  ::close(descriptor);
}

}  // namespace

namespace {

std::string path_in(const std::string& directory) {
  return directory + "/lock";
}

// Takes the lock, unless a living job holds it: that one is returned.
std::optional<Holder> take(const std::string& directory) {
  const std::string path = path_in(directory);
  const std::string claim = fmt::format("{}.{}.{}", path, host_name(), getpid());
  write_claim(claim);
  const auto removed = [&] { unlink(claim.c_str()); };
  while (link(claim.c_str(), path.c_str()) != 0) {
    const int reason = errno;
    if (reason != EEXIST) {
      removed();
      throw Error(ExitCode::kIo, {.problem = fmt::format("cannot lock '{}'", directory),
                                  .why = std::strerror(reason),
                                  .suggestion = "Make it writable, or choose another --out."});
    }
    const std::optional<Holder> holder = read_holder(path);
    if (holder && is_alive(*holder, heartbeat_age(path, claim))) {
      removed();
      return holder;
    }
    remove_if_dead(path, claim);
  }
  removed();
  return std::nullopt;
}

[[noreturn]] void throw_held(const std::string& directory, const Holder& holder) {
  throw Error(
      ExitCode::kConfig,
      {.problem = fmt::format("run directory '{}' is locked by {}:{}", directory, holder.host, holder.pid),
       .why = "another job works in it",
       .suggestion =
           fmt::format("Wait for it, or choose another --out; if it is certainly dead, remove '{}'.",
                       path_in(directory))});
}

constexpr std::chrono::milliseconds kPoll{5};

}  // namespace

DirectoryLock::DirectoryLock(Taken, std::string path) : path_(std::move(path)) {
  heartbeat_ = std::jthread([this](const std::stop_token& stop) { beat(stop); });
}

DirectoryLock::DirectoryLock(const std::string& directory) : path_(path_in(directory)) {
  if (const std::optional<Holder> holder = take(directory)) throw_held(directory, *holder);
  heartbeat_ = std::jthread([this](const std::stop_token& stop) { beat(stop); });
}

std::unique_ptr<DirectoryLock> DirectoryLock::take_if_free(const std::string& directory) {
  if (take(directory)) return nullptr;
  return std::unique_ptr<DirectoryLock>(new DirectoryLock(Taken{}, path_in(directory)));
}

std::unique_ptr<DirectoryLock> DirectoryLock::take_in_turn(const std::string& directory,
                                                           std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (const std::optional<Holder> holder = take(directory)) {
    if (std::chrono::steady_clock::now() > end) throw_held(directory, *holder);
    std::this_thread::sleep_for(kPoll);
  }
  return std::unique_ptr<DirectoryLock>(new DirectoryLock(Taken{}, path_in(directory)));
}

DirectoryLock::~DirectoryLock() {
  heartbeat_.request_stop();
  heartbeat_.join();
  // A process that stood still for long may have lost it.
  if (read_holder(path_) == this_process()) unlink(path_.c_str());
}

void DirectoryLock::beat(const std::stop_token& stop) const {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  while (!stopped.wait_for(lock, stop, kLockHeartbeat, [] { return false; }) && !stop.stop_requested()) {
    if (read_holder(path_) == this_process()) utimensat(AT_FDCWD, path_.c_str(), nullptr, 0);
  }
}

}  // namespace orthant
