// A lock file that names its holder (host, pid, boot id), so that a lock left by a dead process is
// recognised.
//
// Taken by link(2), which is atomic on shared file systems too. A process of the same boot of the same host
// is asked for directly; of another host the lock counts as dead when its heartbeat (the file's time, renewed
// every few seconds by a thread of the holder) is old by the file system's own clock. One thread uses an
// object.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace orthant {

inline constexpr std::chrono::seconds kLockHeartbeat{5};
inline constexpr std::chrono::seconds kLockIsDead{60};  // a dozen heartbeats

class DirectoryLock {
 public:
  // Takes directory/lock. Error(kConfig) naming host and pid when a living job holds it, Error(kIo) when the
  // directory cannot be written.
  explicit DirectoryLock(const std::string& directory);
  // The same, but null when a living job holds it.
  [[nodiscard]] static std::unique_ptr<DirectoryLock> take_if_free(const std::string& directory);
  // The same, but waits up to `patience` for a job that holds it.
  [[nodiscard]] static std::unique_ptr<DirectoryLock> take_in_turn(
      const std::string& directory, std::chrono::milliseconds patience = std::chrono::seconds(30));
  ~DirectoryLock();  // gives it back
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  struct Taken {};
  DirectoryLock(Taken, std::string path);
  void beat(const std::stop_token& stop) const;

  std::string path_;
  std::jthread heartbeat_;
};

}  // namespace orthant
