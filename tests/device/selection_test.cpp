// Selections on a device leave what they leave on the CPU.
#include "sae/dictionary/selection.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/comm/self.h"
#include "runtime/core/rng.h"
#include "tests/device/codes.h"
#include "tests/device/device.h"

namespace orthant::sae {
namespace {

using testing::host_codes;

constexpr int64_t kRows = 23;
constexpr int64_t kLatents = 61;

// Rows of positive values, `kinds` of them, or all different for 0.
kernels::Codes candidates(Memory& memory, int kinds) {
  kernels::Codes codes(memory, kRows, kRows * kLatents);
  const kernels::CodesView view = codes.view();
  int64_t entries = 0;
  view.row_offsets.data[0] = 0;
  for (int64_t r = 0; r < kRows; ++r) {
    for (int32_t latent = 0; latent < kLatents; ++latent) {
      const float u = random_uniform(5, Purpose::kTest, 0, static_cast<uint64_t>(r * kLatents + latent));
      if (u < 0.4f || r == 7) continue;
      view.latents.data[entries] = latent;
      view.values.data[entries++] = kinds == 0 ? u : 1.0f + std::floor(u * static_cast<float>(kinds));
    }
    view.row_offsets.data[r + 1] = entries;
  }
  return codes;
}

using SelectionOnADevice = testing::DeviceTest;

TEST_F(SelectionOnADevice, OfABatchIsThatOfTheCpu) {
  for (const int kinds : {0, 1, 5}) {
    for (const int64_t keep : {int64_t{1}, int64_t{200}, kRows * kLatents}) {
      Memory host, memory(testing::device());
      const auto self = make_self_communicator(), there = make_self_communicator(testing::device());
      Stream host_stream, stream(testing::device());
      kernels::Codes ours = candidates(host, kinds);
      kernels::Codes theirs = testing::codes_on(memory, ours.view());
      BatchSelection on_cpu(host, ours.view().capacity()), selection(memory, 10);
      const BatchSelected expected = on_cpu.select(ours.view(), 100, keep, *self, host_stream);
      const BatchSelected found = selection.select(theirs.view(), 100, keep, *there, stream);
      EXPECT_EQ(found.kept, expected.kept);
      EXPECT_EQ(found.smallest, expected.smallest);
      EXPECT_EQ(host_codes(theirs.view()), host_codes(ours.view()));
    }
  }
}

}  // namespace
}  // namespace orthant::sae
