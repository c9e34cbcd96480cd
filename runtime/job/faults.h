// Named points at which a failure can be asked for: how the promises of a job are tested on the real program.
//
// ORTHANT_FAULT=POINT:RANK:NTH:ACTION[,...] arms points of one rank ('*': every rank); the fault happens the
// NTH time (from 1) that rank reaches the point. Actions: kill (SIGKILL), stop (SIGSTOP), sleep:SECONDS,
// exit:CODE, throw, errno:NUMBER. Points have names like "checkpoint.before_rename". They are compiled in
// always; one that is not armed costs a relaxed load. The table is global because the places that fail lie
// deep in code that has no job at hand, and is written once, before the job starts. Thread-safe after arming.
#pragma once

#include <atomic>
#include <string_view>

namespace orthant {
namespace faults {
extern std::atomic<bool> armed;
// What fault_point() and fault_errno() do when anything is armed.
void reach(std::string_view point);
[[nodiscard]] int reach_errno(std::string_view point);
}  // namespace faults

// Arms what `specification` names for `rank`, in place of what was armed before; an empty one disarms. Throws
// Error(kUsage) naming the part that is not understood.
void arm_faults(std::string_view specification, int rank);
// arm_faults() with the environment's ORTHANT_FAULT.
void arm_faults_from_environment(int rank);

// Fails here when armed; an armed errno is thrown as Error(kIo).
inline void fault_point(std::string_view point) {
  if (faults::armed.load(std::memory_order_relaxed)) faults::reach(point);
}
// Before a system call: the errno that the call is to fail with, 0 to go on. Other actions happen here.
[[nodiscard]] inline int fault_errno(std::string_view point) {
  return faults::armed.load(std::memory_order_relaxed) ? faults::reach_errno(point) : 0;
}

}  // namespace orthant
