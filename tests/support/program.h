// Runs a command of another process with a time limit and keeps its exit code and what it wrote.
//
// The command gets its own process group, which is killed as a whole when the limit passes: no test leaves
// ranks behind. Main thread only.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>

#include "tests/support/temp_dir.h"

namespace orthant::testing {

inline constexpr std::chrono::seconds kProgramLimit{30};

inline std::string content_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

struct Outcome {
  int code = -1;         // exit code; -1 when a signal ended the command or the limit passed
  int signal = 0;        // that ended it
  bool is_late = false;  // the limit passed
  std::string out;
  std::string err;
};

// A shell command under way.
class RunningProgram {
 public:
  explicit RunningProgram(const std::string& command) : command_(command) {
    process_ = fork();
    if (process_ == 0) start();
    setpgid(process_, process_);
  }
  ~RunningProgram() {
    if (process_ > 0) end_group();
  }
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;

  // The process that the shell became; the group's number too.
  [[nodiscard]] pid_t process() const { return process_; }
  void send(int signal) const { kill(process_, signal); }

  // Whether `condition` came true before the command ended or the limit passed.
  [[nodiscard]] bool wait_until(const std::function<bool()>& condition) const {
    const auto limit = std::chrono::steady_clock::now() + kProgramLimit;
    while (std::chrono::steady_clock::now() < limit) {
      if (condition()) return true;
      siginfo_t state{};
      const int asked = waitid(P_PID, static_cast<id_t>(process_), &state, WEXITED | WNOHANG | WNOWAIT);
      if (asked != 0 || state.si_pid == process_) return condition();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  }

  [[nodiscard]] Outcome wait() {
    Outcome outcome;
    int status = 0;
    const auto limit = std::chrono::steady_clock::now() + kProgramLimit;
    while (waitpid(process_, &status, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() > limit) {
        outcome.is_late = true;
        end_group();
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    process_ = 0;
    if (!outcome.is_late && WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
    if (!outcome.is_late && WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
    outcome.out = content_of(folder_.file("out"));
    outcome.err = content_of(folder_.file("err"));
    return outcome;
  }

 private:
  [[noreturn]] void start() const {
    setpgid(0, 0);
    const int out = open(folder_.file("out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int err = open(folder_.file("err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    // mpirun started by root, on fewer cores than ranks.
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 0);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 0);
    setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 0);
    setenv("OMPI_MCA_hwloc_base_binding_policy", "none", 0);
    execl("/bin/sh", "sh", "-c", command_.c_str(), nullptr);
    _exit(127);
  }
  void end_group() {
    kill(-process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    process_ = 0;
  }

  TempDir folder_;
  std::string command_;
  pid_t process_ = 0;
};

// Runs `command` in a shell.
inline Outcome run_command(const std::string& command) {
  RunningProgram program(command);
  return program.wait();
}

// `orthant ARGUMENTS`, under `launcher` where one is given.
inline std::string orthant_command(const std::string& arguments, const std::string& launcher = "") {
  return "exec " + launcher + " " + ORTHANT_PROGRAM + " " + arguments;
}

inline Outcome run_orthant(const std::string& arguments, const std::string& launcher = "") {
  return run_command(orthant_command(arguments, launcher));
}

inline ::testing::AssertionResult ended(const Outcome& outcome, int code) {
  if (outcome.code == code) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "ended with code " << outcome.code << ", signal " << outcome.signal
                                       << (outcome.is_late ? ", after the time limit" : "") << "\n"
                                       << outcome.err;
}

// Ended with `code`, one message in all, which names each of `parts` and holds no call stack or rank twice.
template <typename... Parts>
::testing::AssertionResult refused(const Outcome& outcome, int code, const Parts&... parts) {
  if (outcome.code != code) return ended(outcome, code);
  std::string missing;
  ((missing += outcome.err.find(parts) == std::string::npos ? std::string(" '") + parts + "'" : ""), ...);
  if (!missing.empty())
    return ::testing::AssertionFailure() << "not named:" << missing << "\n" << outcome.err;
  const size_t first = outcome.err.find("orthant: ");
  if (first == std::string::npos) return ::testing::AssertionFailure() << "no message\n" << outcome.err;
  if (outcome.err.find("\northant: ", first + 1) != std::string::npos)
    return ::testing::AssertionFailure() << "several messages\n" << outcome.err;
  return ::testing::AssertionSuccess();
}

}  // namespace orthant::testing
