#include "runtime/comm/communicator.h"

#include "tests/parallel/communicator_contract.h"

namespace orthant::testing {
namespace {

Ranks self() {
  return {"self", [](const std::function<void(World&)>& body) {
            World world = make_self_world();
            body(world);
          }};
}

Ranks threads(int size) {
  return {"threads_" + std::to_string(size), [size](const std::function<void(World&)>& body) {
            run_thread_ranks(size, [&](World world) { body(world); });
          }};
}

INSTANTIATE_TEST_SUITE_P(Local, CommunicatorContract,
                         ::testing::Values(self(), threads(1), threads(2), threads(3), threads(4),
                                           threads(8)),
                         [](const auto& ranks) { return ranks.param.name; });

}  // namespace
}  // namespace orthant::testing
