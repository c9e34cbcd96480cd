// Errors and exit codes: one exception type that carries the process exit code.
//
// Every message has the form "problem (why) suggestion"; the last two may be empty. Bad input, a broken file
// or a lost peer throws; a broken invariant of our own goes through require(). Thread-safe.
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

namespace orthant {

// The contract between a rank, mpirun, job scripts and SLURM.
enum class ExitCode : int {
  kDone = 0,
  kUsage = 64,      // unknown verb, flag or argument
  kData = 65,       // a file is damaged or not what it claims to be
  kDevice = 69,     // the device asked for is absent
  kInternal = 70,   // a bug
  kPeer = 71,       // a rank was lost or a wait passed its deadline
  kIo = 74,         // the operating system refused to read or write
  kStopped = 75,    // stopped on request after saving; run again to continue
  kNonFinite = 76,  // the numbers left the finite range
  kConfig = 78,     // a value of the configuration is impossible
};

struct ErrorText {
  std::string problem;
  std::string why = {};
  std::string suggestion = {};
};

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const ErrorText& text);
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  [[nodiscard]] ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

// Throws Error(kInternal) naming the caller's file and line when an invariant of our own code is broken.
void require(bool holds, std::string_view invariant,
             std::source_location at = std::source_location::current());

}  // namespace orthant
