// Codes of replicas on devices are put together as on the CPU.
#include "sae/training/replica_exchange.h"

#include <gtest/gtest.h>

#include "runtime/comm/world.h"
#include "tests/device/codes.h"
#include "tests/device/device.h"
#if ORTHANT_EMULATED_DEVICE
#include "tests/device/ranks.h"
#endif

namespace orthant::sae {
namespace {

#if ORTHANT_EMULATED_DEVICE

using testing::host_codes;
using testing::HostCodes;

constexpr int64_t kRows = 13;
constexpr int64_t kEntries = 100;

struct Gathered {
  HostCodes codes;
  std::vector<float> gradients;
  bool operator==(const Gathered&) const = default;
};

// Row r of the batch has r % 4 entries; every replica's own begin at entry 2.
Gathered gather(Communicator& replicas) {
  Memory host, memory(replicas.device());
  Stream stream(replicas.device());
  ReplicaExchange exchange(kRows, DataParallel::kCodes, replicas);
  const Share rows = exchange.own_rows();
  kernels::Codes codes(host, rows.count, kEntries);
  const kernels::CodesView view = codes.view();
  std::vector<float> gradients(kEntries, -1.0f);
  int64_t entry = view.row_offsets.data[0] = 2;
  std::fill_n(view.latents.data, 2, -1);
  std::fill_n(view.values.data, 2, -1.0f);
  for (int64_t r = 0; r < rows.count; ++r) {
    const int64_t row = rows.first + r;
    for (int32_t i = 0; i < row % 4; ++i, ++entry) {
      view.latents.data[entry] = static_cast<int32_t>(row) + 2 * i;
      view.values.data[entry] = static_cast<float>(row * 10 + i);
      gradients[static_cast<size_t>(entry)] = static_cast<float>(-row * 10 - i);
    }
    view.row_offsets.data[r + 1] = entry;
  }
  kernels::Codes own = testing::codes_on(memory, view), all(memory, kRows, kEntries);
  Tensor<float, 1> own_gradients(memory, "test", {kEntries}), all_gradients(memory, "test", {kEntries});
  copy_bytes(own_gradients.data(), memory.device(), gradients.data(), kCpu, kEntries * 4);
  const auto found =
      exchange.gather_codes(own.view(), own_gradients.view(), all.view(), all_gradients.view(), stream);
  Gathered result{host_codes(found.codes), testing::on_host(found.value_gradients)};
  result.gradients.resize(result.codes.values.size() + (replicas.size() == 1 ? 2 : 0));
  return result;
}

using ReplicaExchangeOnADevice = testing::DeviceTest;

TEST_F(ReplicaExchangeOnADevice, GathersTheCodesThatTheCpuGathers) {
  for (const int ranks : {1, 2, 3}) {
    std::vector<Gathered> expected(static_cast<size_t>(ranks)), found = expected;
    run_thread_ranks(ranks,
                     [&](World world) { expected[static_cast<size_t>(world.rank())] = gather(*world.data); });
    testing::run_device_ranks(
        ranks, [&](World& world) { found[static_cast<size_t>(world.rank())] = gather(*world.data); });
    EXPECT_EQ(found, expected) << ranks;
    const int64_t entries = 0 + 1 + 2 + 3 + 0 + 1 + 2 + 3 + 0 + 1 + 2 + 3 + 0;
    EXPECT_EQ(found[0].codes.row_offsets.back() - found[0].codes.row_offsets.front(), entries);
    EXPECT_EQ(found.front().codes.values, found.back().codes.values);
  }
}

#endif

}  // namespace
}  // namespace orthant::sae
