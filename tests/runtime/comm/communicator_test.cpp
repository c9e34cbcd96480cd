#include "runtime/comm/communicator.h"

#include "tests/parallel/communicator_contract.h"
#include "tests/support/nccl_ranks.h"

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

Ranks nccl(const std::string& name, int size, const NcclRank& limits) {
  return {name + "_" + std::to_string(size),
          [=](const std::function<void(World&)>& body) {
            NcclDouble libraries(size);
            run_nccl_ranks(libraries, size, limits, body);
          },
          false};
}

INSTANTIATE_TEST_SUITE_P(Local, CommunicatorContract,
                         ::testing::Values(self(), threads(1), threads(2), threads(3), threads(4),
                                           threads(8)),
                         [](const auto& ranks) { return ranks.param.name; });

INSTANTIATE_TEST_SUITE_P(Nccl, CommunicatorContract,
                         ::testing::Values(nccl("whole", 1, {}), nccl("whole", 2, {}), nccl("whole", 3, {}),
                                           nccl("whole", 4, {}), nccl("cut", 1, cut_messages()),
                                           nccl("cut", 2, cut_messages()), nccl("cut", 3, cut_messages()),
                                           nccl("cut", 4, cut_messages())),
                         [](const auto& ranks) { return ranks.param.name; });

}  // namespace
}  // namespace orthant::testing
