// The penalty on a device and over devices is that of one process on the CPU.
#include "sae/training/orthogonality.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "runtime/comm/self.h"
#include "runtime/comm/world.h"
#include "runtime/core/rng.h"
#include "tests/device/device.h"
#if ORTHANT_EMULATED_DEVICE
#include "tests/device/ranks.h"
#endif

namespace orthant::sae {
namespace {

constexpr int64_t kWidth = 13;
constexpr int64_t kLatents = 76;

// Latents 5 and 40 are equal rows, latent 7 is zero.
std::vector<float> decoder_rows() {
  std::vector<float> rows(static_cast<size_t>(kLatents * kWidth));
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = random_normal(9, Purpose::kTest, 0, i);
  std::copy_n(rows.begin() + 5 * kWidth, kWidth, rows.begin() + 40 * kWidth);
  std::fill_n(rows.begin() + 7 * kWidth, kWidth, 0.0f);
  return rows;
}

struct Penalty {
  double value = 0.0;
  std::vector<float> gradient;
  int64_t sent = 0;
};

// Of this rank's slice, on the device of `world`.
Penalty penalty_of(Communicator& world, Communicator& shards, int64_t chunk) {
  std::vector<Share> slices;
  for (int s = 0; s < shards.size(); ++s) slices.push_back(share_of(kLatents, shards.size(), s));
  const Share own = slices[static_cast<size_t>(shards.rank())];
  const std::vector<float> rows = decoder_rows();
  Memory memory(world.device());
  Stream stream(world.device());
  Tensor<float, 2> decoder(memory, "test", {own.count, kWidth}),
      gradient(memory, "test", {own.count, kWidth});
  copy_bytes(decoder.data(), memory.device(), rows.data() + own.first * kWidth, kCpu, decoder.view().bytes());
  OrthogonalityPenalty penalty(memory, kWidth, slices, chunk, world, shards);
  Penalty result;
  // What the first step left in the room does not reach the second.
  for (int64_t step = 0; step < 2; ++step) {
    const LatentPartition partition(kLatents, chunk, 3, step);
    result.value = penalty.evaluate(decoder.view(), partition, 0.7f, gradient.view(), stream);
  }
  result.gradient = testing::on_host(gradient.view());
  result.sent = world.traffic().total() + (&world == &shards ? 0 : shards.traffic().total());
  return result;
}

Penalty penalty_on(Device device, int64_t chunk) {
  const auto self = make_self_communicator(device);
  return penalty_of(*self, *self, chunk);
}

using OrthogonalityOnADevice = testing::DeviceTest;

TEST_F(OrthogonalityOnADevice, IsThatOfTheCpu) {
  for (const int64_t chunk : {int64_t{1}, int64_t{30}, kLatents}) {
    const Penalty expected = penalty_on(kCpu, chunk), found = penalty_on(testing::device(), chunk);
    // Cosines are sums of kWidth products.
    const double tolerance = kWidth * 6e-8;
    EXPECT_NEAR(found.value, expected.value, 2.0 * tolerance);
    ASSERT_EQ(found.gradient.size(), expected.gradient.size());
    for (size_t i = 0; i < found.gradient.size(); ++i) {
      ASSERT_NEAR(found.gradient[i], expected.gradient[i], 2.0 * tolerance) << i;
    }
#if ORTHANT_EMULATED_DEVICE
    EXPECT_EQ(found.value, expected.value);
    EXPECT_EQ(found.gradient, expected.gradient);
#endif
  }
}

TEST_F(OrthogonalityOnADevice, AllocatesWhatIsPlannedAndNothingInAStep) {
  const auto self = make_self_communicator(testing::device());
  Memory planned = Memory::counting(testing::device()), memory(testing::device());
  Stream stream(testing::device());
  const OrthogonalityPenalty plan(planned, kWidth, {{0, kLatents}}, 30, *self, *self);
  OrthogonalityPenalty penalty(memory, kWidth, {{0, kLatents}}, 30, *self, *self);
  EXPECT_EQ(planned.allocated_bytes(), memory.allocated_bytes());
  const int64_t before = memory.allocated_bytes();
  Memory other(testing::device());
  Tensor<float, 2> decoder(other, "test", {kLatents, kWidth}), gradient(other, "test", {kLatents, kWidth});
  const std::vector<float> rows = decoder_rows();
  copy_bytes(decoder.data(), testing::device(), rows.data(), kCpu, decoder.view().bytes());
  (void)penalty.evaluate(decoder.view(), LatentPartition(kLatents, 30, 3, 0), 0.7f, gradient.view(), stream);
  EXPECT_EQ(memory.allocated_bytes(), before);
}

#if ORTHANT_EMULATED_DEVICE

TEST_F(OrthogonalityOnADevice, OverDevicesHasTheBitsOfOneProcess) {
  for (const int64_t chunk : {int64_t{30}, kLatents}) {
    const Penalty expected = penalty_on(kCpu, chunk);
    for (const MeshShape mesh : {MeshShape{1, 2}, MeshShape{1, 3}, MeshShape{2, 1}, MeshShape{2, 2}}) {
      const int ranks = mesh.data * mesh.dictionary;
      std::vector<Penalty> found(static_cast<size_t>(ranks)), on_cpu = found;
      run_thread_ranks(ranks, [&](World world) {
        Grid grid = make_grid(*world.data, mesh);
        on_cpu[static_cast<size_t>(world.rank())] = penalty_of(*world.data, *grid.dictionary, chunk);
      });
      testing::run_device_ranks(ranks, [&](World& world) {
        Grid grid = make_grid(*world.data, mesh);
        found[static_cast<size_t>(world.rank())] = penalty_of(*world.data, *grid.dictionary, chunk);
        world.control->barrier();
        grid.dictionary->close();
        grid.data->close();
      });
      for (int replica = 0; replica < mesh.data; ++replica) {
        std::vector<float> gradient;
        for (int shard = 0; shard < mesh.dictionary; ++shard) {
          const auto rank = static_cast<size_t>(replica * mesh.dictionary + shard);
          EXPECT_EQ(found[rank].value, expected.value);
          EXPECT_EQ(found[rank].sent, on_cpu[rank].sent);
          gradient.insert(gradient.end(), found[rank].gradient.begin(), found[rank].gradient.end());
        }
        EXPECT_EQ(gradient, expected.gradient) << mesh.data << "x" << mesh.dictionary;
      }
    }
  }
}

#endif

}  // namespace
}  // namespace orthant::sae
