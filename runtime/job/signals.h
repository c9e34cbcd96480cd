// Requests to stop, as signals: SIGUSR1 (job scripts, before a time limit), SIGTERM and SIGINT mean "save and
// leave".
//
// A handler may touch nothing but a lock-free atomic, and a process has one table of handlers, so the flag is
// global: with the fault points the only mutable global of the program. Ranks agree on the flag
// (ControlGroup::bit_or) before they act on it. Thread-safe.
#pragma once

namespace orthant {

// Call before MPI starts: until then the default action of these signals ends the process. Signals after the
// first change nothing. A handler inherited as ignored (nohup, a background shell) stays ignored. Also
// ignores SIGXFSZ: a write past a limit on file sizes fails like one to a full disk instead of ending the
// process.
void install_stop_signals();
// Whether a stop signal has arrived.
[[nodiscard]] bool stop_requested() noexcept;
// The signal that asked to stop, 0 when none has.
[[nodiscard]] int stop_signal() noexcept;

}  // namespace orthant
