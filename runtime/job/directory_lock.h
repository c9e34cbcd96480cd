// A lock file that names its holder (host, pid, boot id), so that a lock left by a dead process is
// recognised.
//
// Works on one host and on shared file systems. Taken by link(2), which is atomic there too. One thread.
#pragma once

#include <string>

namespace orthant {

class DirectoryLock {
 public:
  // Takes directory/lock. Error(kConfig) naming host and pid when a living process, or one on another host,
  // holds it.
  explicit DirectoryLock(const std::string& directory);
  ~DirectoryLock();
  DirectoryLock(DirectoryLock&& other) noexcept;
  DirectoryLock& operator=(DirectoryLock&&) = delete;

 private:
  std::string path_;
};

}  // namespace orthant
