// Selections on a device leave what they leave on the CPU.
#include "sae/dictionary/selection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <mutex>

#include "runtime/comm/self.h"
#include "runtime/comm/world.h"
#include "runtime/core/rng.h"
#include "runtime/core/share.h"
#include "tests/device/codes.h"
#include "tests/device/device.h"
#if ORTHANT_EMULATED_DEVICE
#include "tests/device/ranks.h"
#endif

namespace orthant::sae {
namespace {

using testing::host_codes;
using testing::HostCodes;

constexpr int64_t kRows = 23;
constexpr int64_t kLatents = 61;

// The `most` largest of `slice` of each row, `kinds` values, or all different for 0.
kernels::Codes candidates(Memory& memory, int kinds, Share rows, Share slice, int64_t most) {
  kernels::Codes codes(memory, rows.count, rows.count * slice.count);
  const kernels::CodesView view = codes.view();
  int64_t entries = 0;
  view.row_offsets.data[0] = 0;
  for (int64_t r = 0; r < rows.count; ++r) {
    std::vector<std::pair<float, int32_t>> row;
    for (int64_t latent = slice.first; latent < slice.end(); ++latent) {
      const auto number = static_cast<uint64_t>((rows.first + r) * kLatents + latent);
      const float u = random_uniform(5, Purpose::kTest, 0, number);
      const float value = kinds == 0 ? u : 1.0f + std::floor(u * static_cast<float>(kinds));
      row.emplace_back(-value, static_cast<int32_t>(latent));
    }
    std::sort(row.begin(), row.end());
    row.resize(std::min(row.size(), static_cast<size_t>(most)));
    std::sort(row.begin(), row.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    for (const auto& [value, latent] : row) {
      view.latents.data[entries] = latent;
      view.values.data[entries++] = -value;
    }
    view.row_offsets.data[r + 1] = entries;
  }
  return codes;
}

struct Selected {
  HostCodes codes;
  float smallest = 0.0f;
  int64_t kept = 0;
  bool operator==(const Selected&) const = default;
};

// On the device of `world`.
Selected select_of_batch(Communicator& world, int kinds, int64_t keep, Share rows, Share slice) {
  Memory host, memory(world.device());
  Stream stream(world.device());
  kernels::Codes there = testing::codes_on(memory, candidates(host, kinds, rows, slice, slice.count).view());
  BatchSelection selection(memory, 10);
  const BatchSelected found = selection.select(there.view(), rows.first, keep, world, stream);
  return {host_codes(there.view()), found.smallest, found.kept};
}

using SelectionOnADevice = testing::DeviceTest;

TEST_F(SelectionOnADevice, OfABatchIsThatOfTheCpu) {
  for (const int kinds : {0, 1, 5}) {
    for (const int64_t keep : {int64_t{1}, int64_t{200}, kRows * kLatents}) {
      const auto here = make_self_communicator(), there = make_self_communicator(testing::device());
      EXPECT_EQ(select_of_batch(*there, kinds, keep, {0, kRows}, {0, kLatents}),
                select_of_batch(*here, kinds, keep, {0, kRows}, {0, kLatents}));
    }
  }
}

TEST_F(SelectionOnADevice, AllocatesWhatIsPlanned) {
  Memory planned = Memory::counting(testing::device()), memory(testing::device());
  const BatchSelection batch_plan(planned, 5000), batch(memory, 5000);
  const RowSelection rows_plan(planned, kRows, 9, 3), rows(memory, kRows, 9, 3);
  EXPECT_GT(memory.allocated_bytes(), 0);
  EXPECT_EQ(planned.allocated_bytes(), memory.allocated_bytes());
}

#if ORTHANT_EMULATED_DEVICE

Selected select_of_rows(Communicator& shards, int kinds, int64_t k, bool scales) {
  Memory host, memory(shards.device());
  Stream stream(shards.device());
  std::vector<int64_t> counts;
  for (int s = 0; s < shards.size(); ++s) counts.push_back(share_of(kLatents, shards.size(), s).count);
  const Share slice = share_of(kLatents, shards.size(), shards.rank());
  kernels::Codes there =
      testing::codes_on(memory, candidates(host, kinds, {0, kRows}, slice, std::min(k, slice.count)).view());
  Tensor<float, 1> scale(memory, "test", {scales ? slice.count : 0});
  const std::vector<float> same(static_cast<size_t>(slice.count), 0.25f);
  copy_bytes(scale.data(), memory.device(), same.data(), kCpu, scale.view().bytes());
  RowSelection selection(memory, kRows, k, shards.size());
  selection.select(there.view(), k, counts, slice.first, scale.view(), shards, stream);
  return {host_codes(there.view()), static_cast<float>(selection.rounds().second_round_rows),
          selection.rounds().bytes_received};
}

// What every rank selects, `select` being called by all of them.
template <typename Select>
std::vector<Selected> on_the_cpu(int ranks, const Select& select) {
  std::vector<Selected> all(static_cast<size_t>(ranks));
  run_thread_ranks(ranks, [&](World world) { all[static_cast<size_t>(world.rank())] = select(*world.data); });
  return all;
}
template <typename Select>
std::vector<Selected> on_devices(int ranks, const Select& select) {
  std::vector<Selected> all(static_cast<size_t>(ranks));
  testing::run_device_ranks(
      ranks, [&](World& world) { all[static_cast<size_t>(world.rank())] = select(*world.data); });
  return all;
}

TEST_F(SelectionOnADevice, OfRowsOverShardsIsThatOfTheCpu) {
  bool has_second_round = false;
  for (const int ranks : {1, 2, 3}) {
    for (const int kinds : {0, 2}) {
      for (const int64_t k : {int64_t{4}, int64_t{16}, int64_t{40}}) {
        const auto select = [&](Communicator& shards) { return select_of_rows(shards, kinds, k, k == 4); };
        const std::vector<Selected> found = on_devices(ranks, select);
        EXPECT_EQ(found, on_the_cpu(ranks, select)) << ranks << " " << kinds << " " << k;
        has_second_round = has_second_round || found[0].smallest > 0.0f;
      }
    }
  }
  EXPECT_TRUE(has_second_round);
}

TEST_F(SelectionOnADevice, OfABatchOverRanksIsThatOfTheCpu) {
  for (const int ranks : {2, 3}) {
    for (const int kinds : {0, 3}) {
      for (const int64_t keep : {int64_t{300}, kRows * kLatents}) {
        for (const bool by_rows : {false, true}) {
          const auto select = [&](Communicator& world) {
            const Share all_rows{0, kRows}, all_latents{0, kLatents};
            return select_of_batch(world, kinds, keep,
                                   by_rows ? share_of(kRows, world.size(), world.rank()) : all_rows,
                                   by_rows ? all_latents : share_of(kLatents, world.size(), world.rank()));
          };
          EXPECT_EQ(on_devices(ranks, select), on_the_cpu(ranks, select));
        }
      }
    }
  }
}

#endif

}  // namespace
}  // namespace orthant::sae
