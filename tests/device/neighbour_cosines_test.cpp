// The cosines of neighbours on a device and over devices are those of one process on the CPU.
#include "sae/measure/neighbour_cosines.h"

#include <gtest/gtest.h>

#include "runtime/comm/self.h"
#include "runtime/comm/world.h"
#include "runtime/core/rng.h"
#include "tests/device/device.h"
#if ORTHANT_EMULATED_DEVICE
#include "tests/device/ranks.h"
#endif

namespace orthant::sae {
namespace {

constexpr int64_t kWidth = 11;
constexpr int64_t kLatents = 67;

struct Cosines {
  std::vector<float> of_latents;
  double by_chance = 0.0;
};

// Of all latents; this rank holds a slice of them on the device of `shards`.
Cosines cosines_of(Communicator& shards) {
  std::vector<Share> slices;
  for (int s = 0; s < shards.size(); ++s) slices.push_back(share_of(kLatents, shards.size(), s));
  const Share own = slices[static_cast<size_t>(shards.rank())];
  std::vector<float> rows;
  for (int64_t i = 0; i < own.count * kWidth; ++i) {
    rows.push_back(random_normal(9, Purpose::kTest, 0, static_cast<uint64_t>(own.first * kWidth + i)));
  }
  Memory memory(shards.device());
  Stream stream(shards.device());
  Tensor<float, 2> there(memory, "test", {own.count, kWidth});
  copy_bytes(there.data(), memory.device(), rows.data(), kCpu, there.view().bytes());
  const std::vector<float> local = neighbour_cosines(there.view(), slices, shards, stream);
  return {gather_latent_values(local, slices, shards, stream),
          chance_mean_cosine(kWidth, 5, slices, shards, stream)};
}

void expect_near(const Cosines& found, const Cosines& expected) {
  const double tolerance = kWidth * 6e-8;
  ASSERT_EQ(found.of_latents.size(), expected.of_latents.size());
  for (size_t i = 0; i < found.of_latents.size(); ++i) {
    EXPECT_NEAR(found.of_latents[i], expected.of_latents[i], tolerance) << i;
  }
  EXPECT_NEAR(found.by_chance, expected.by_chance, tolerance);
}

using NeighbourCosinesOnADevice = testing::DeviceTest;

TEST_F(NeighbourCosinesOnADevice, AreThoseOfTheCpu) {
  const auto here = make_self_communicator(), there = make_self_communicator(testing::device());
  expect_near(cosines_of(*there), cosines_of(*here));
}

#if ORTHANT_EMULATED_DEVICE

TEST_F(NeighbourCosinesOnADevice, OverDevicesAreThoseOfOneProcess) {
  const auto here = make_self_communicator();
  const Cosines expected = cosines_of(*here);
  for (const int ranks : {2, 3}) {
    std::vector<Cosines> found(static_cast<size_t>(ranks));
    testing::run_device_ranks(
        ranks, [&](World& world) { found[static_cast<size_t>(world.rank())] = cosines_of(*world.data); });
    for (const Cosines& each : found) {
      EXPECT_EQ(each.of_latents, expected.of_latents);
      EXPECT_EQ(each.by_chance, expected.by_chance);
    }
  }
}

#endif

}  // namespace
}  // namespace orthant::sae
