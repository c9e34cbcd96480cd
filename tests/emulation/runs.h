// Where the kernels of this binary run, and in which orders of threads: on fibers (emulated_runs.cpp), in
// every order that they offer, or on a device (native_runs.cpp). Not thread-safe.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <exception>
#include <tuple>
#include <vector>

#include "runtime/device/device.h"

namespace orthant::testing {

[[nodiscard]] Device kernel_device();
// Not empty where nothing can run: the reason to skip a test.
[[nodiscard]] std::string no_kernels_reason();
[[nodiscard]] int order_count();
// Of the launches from now on. Barriers can be left out on fibers only.
void choose_order(int order, bool without_barriers);
[[nodiscard]] bool can_leave_out_barriers();

template <typename T>
bool same_bytes(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}
template <typename... Ts>
bool same_bytes(const std::tuple<std::vector<Ts>...>& a, const std::tuple<std::vector<Ts>...>& b) {
  return [&]<size_t... I>(std::index_sequence<I...>) {
    return (same_bytes(std::get<I>(a), std::get<I>(b)) && ...);
  }
  (std::index_sequence_for<Ts...>{});
}

// What `work` returns, vectors or a tuple of them, which must have the same bits in every order of threads.
template <typename Work>
auto in_every_order(Work work) {
  choose_order(0, false);
  const auto expected = work();
  for (int order = 1; order < order_count(); ++order) {
    choose_order(order, false);
    EXPECT_TRUE(same_bytes(expected, work())) << "the order of threads changes bits: order " << order;
  }
  choose_order(0, false);
  return expected;
}

// Whether some order of threads shows that the barriers of `work` are missing: by another result, an error or
// a crash, for which each order has a process of its own.
template <typename Work>
bool needs_its_barriers(Work work) {
  const auto expected = in_every_order(work);
  for (int order = 0; order < order_count(); ++order) {
    const pid_t process = fork();
    if (process == 0) {
      choose_order(order, true);
      bool noticed = true;
      try {
        noticed = !same_bytes(expected, work());
      } catch (const std::exception&) {
      }
      _exit(noticed ? 1 : 0);
    }
    int status = 0;
    if (waitpid(process, &status, 0) == process && status != 0) return true;
  }
  return false;
}

}  // namespace orthant::testing
