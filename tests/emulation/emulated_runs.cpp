#include "tests/emulation/emu.h"
#include "tests/emulation/runs.h"

namespace orthant::testing {

namespace {
constexpr int kRandomOrders = 3;
}

Device kernel_device() {
  return kCpu;
}

std::string no_kernels_reason() {
  return "";
}

int order_count() {
  return 2 + kRandomOrders;
}

void choose_order(int order, bool without_barriers) {
  using emulation::Order;
  emulation::Machine::instance().rules = {.order = order == 0   ? Order::kAscending
                                                   : order == 1 ? Order::kDescending
                                                                : Order::kRandom,
                                          .seed = static_cast<uint64_t>(order),
                                          .without_barriers = without_barriers};
}

bool can_leave_out_barriers() {
  return true;
}

}  // namespace orthant::testing
