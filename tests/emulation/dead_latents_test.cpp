#include "kernels/codes/dead_latents.h"

#include <gtest/gtest.h>

#include "kernels/codes/statistics_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::in_every_order;

class DeadLatentKernel : public testing::KernelTest {
 protected:
  static std::vector<int64_t> random_tokens(int64_t latents) {
    std::vector<int64_t> tokens;
    for (int64_t i = 0; i < latents; ++i) {
      tokens.push_back(
          static_cast<int64_t>(random_u64(1, Purpose::kTest, 4, static_cast<uint64_t>(i)) % 100));
    }
    return tokens;
  }
  Stream host_;
};

TEST_F(DeadLatentKernel, AgesAreThoseOfTheCpu) {
  for (const int64_t latents : {1, 256, 700}) {
    std::vector<int64_t> tokens = random_tokens(latents);
    std::vector<int32_t> fired;
    for (int64_t i = 0; i < latents; ++i) fired.push_back(i % 3 == 0 ? 1 : 0);
    const DeviceArray<int64_t> device_tokens{std::span<const int64_t>(tokens)};
    const DeviceArray<int32_t> device_fired{std::span<const int32_t>(fired)};
    age_latents(7, {fired.data(), {latents}}, {tokens.data(), {latents}}, host_);
    cuda::age_latents(7, device_fired.vector(), device_tokens.vector(), stream_);
    EXPECT_EQ(device_tokens.values(), tokens);
    EXPECT_EQ(device_fired.values(), fired);
    EXPECT_EQ(fired, std::vector<int32_t>(static_cast<size_t>(latents), 0));
  }
}

TEST_F(DeadLatentKernel, ListsAreThoseOfTheCpu) {
  for (const int64_t latents : {0, 1, 31, 1024, 3000}) {
    const std::vector<int64_t> tokens = random_tokens(latents);
    const DeviceArray<int64_t> device_tokens{std::span<const int64_t>(tokens)};
    for (const int64_t threshold : {0, 60, 100}) {
      std::vector<int32_t> list(static_cast<size_t>(latents));
      std::vector<int64_t> scratch(static_cast<size_t>(dead_list_scratch(latents)));
      const int64_t count = list_dead({tokens.data(), {latents}}, threshold, {list.data(), {latents}},
                                      {scratch.data(), {dead_list_scratch(latents)}}, host_);
      const auto work = [&] {
        const DeviceArray<int32_t> found(latents);
        const DeviceArray<int64_t> room(dead_list_scratch(latents));
        EXPECT_EQ(cuda::list_dead(device_tokens.vector(), threshold, found.vector(), room.vector(), stream_),
                  count);
        std::vector<int32_t> values = found.values();
        values.resize(static_cast<size_t>(count));
        return values;
      };
      EXPECT_EQ(in_every_order(work), std::vector<int32_t>(list.begin(), list.begin() + count));
    }
  }
}

// More blocks than are scanned at a time.
TEST_F(DeadLatentKernel, ListsOfMillionsKeepTheirOrder) {
  constexpr int64_t kLatents = cuda::kListedLatents * 1030 + 5;
  std::vector<int64_t> tokens(static_cast<size_t>(kLatents), 0);
  const std::vector<int32_t> dead = {0, 1023, 1024, 1048575, 1048576, kLatents - 1};
  for (const int32_t latent : dead) tokens[static_cast<size_t>(latent)] = 5;
  const DeviceArray<int64_t> device_tokens{std::span<const int64_t>(tokens)};
  const DeviceArray<int32_t> list(kLatents);
  const DeviceArray<int64_t> scratch(dead_list_scratch(kLatents));
  ASSERT_EQ(cuda::list_dead(device_tokens.vector(), 5, list.vector(), scratch.vector(), stream_),
            static_cast<int64_t>(dead.size()));
  std::vector<int32_t> found = list.values();
  found.resize(dead.size());
  EXPECT_EQ(found, dead);
}

TEST_F(DeadLatentKernel, ChosenBiasesAreThoseOfTheCpu) {
  const std::vector<int32_t> chosen = {0, 3, 4, 8};
  const std::vector<float> bias = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f, 7.0f, 8.0f, 9.0f};
  const DeviceArray<int32_t> device_chosen{std::span<const int32_t>(chosen)}, numbers(4);
  const DeviceArray<float> device_bias{std::span<const float>(bias)}, gathered(4);
  cuda::gather_chosen(device_chosen.vector(), 100, device_bias.vector(), gathered.vector(), numbers.vector(),
                      stream_);
  EXPECT_EQ(gathered.values(), (std::vector<float>{1.0f, 4.0f, 5.0f, 9.0f}));
  EXPECT_EQ(numbers.values(), (std::vector<int32_t>{100, 103, 104, 108}));
}

}  // namespace
}  // namespace orthant::kernels
