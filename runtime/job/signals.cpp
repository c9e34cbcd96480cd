#include "runtime/job/signals.h"

#include <array>
#include <atomic>
#include <csignal>

namespace orthant {
namespace {

constexpr std::array<int, 3> kStopSignals = {SIGUSR1, SIGTERM, SIGINT};

std::atomic<int> first_signal{0};
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void note_signal(int signal) {
  int none = 0;
  first_signal.compare_exchange_strong(none, signal, std::memory_order_relaxed);
}

}  // namespace

void install_stop_signals() {
  // A write past a limit on the size of files is then refused like one to a full disk and leaves its message.
  std::signal(SIGXFSZ, SIG_IGN);
  for (const int signal : kStopSignals) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = note_signal;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;  // reads and writes under way go on
    sigaction(signal, &action, nullptr);
  }
}

bool stop_requested() noexcept {
  return stop_signal() != 0;
}
int stop_signal() noexcept {
  return first_signal.load(std::memory_order_relaxed);
}

}  // namespace orthant
