#include "runtime/job/signals.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

namespace orthant {
namespace {

// Signals change the process, so each test is a process of its own.
TEST(StopSignals, AreNotedOnceAndDoNotKill) {
  for (const int signal : {SIGUSR1, SIGTERM, SIGINT}) {
    EXPECT_EXIT(
        {
          install_stop_signals();
          if (stop_requested()) std::_Exit(1);
          std::raise(signal);
          if (!stop_requested() || stop_signal() != signal) std::_Exit(2);
          std::raise(SIGTERM);
          std::_Exit(stop_signal() == signal ? 0 : 3);
        },
        ::testing::ExitedWithCode(0), "");
  }
}

TEST(StopSignals, LeaveAnIgnoredSignalIgnored) {
  EXPECT_EXIT(
      {
        std::signal(SIGINT, SIG_IGN);
        install_stop_signals();
        std::raise(SIGINT);
        std::_Exit(stop_requested() ? 1 : 0);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace orthant
