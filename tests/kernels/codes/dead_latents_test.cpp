#include "kernels/codes/dead_latents.h"

#include <gtest/gtest.h>

#include "runtime/core/error.h"

namespace orthant::kernels {
namespace {

TEST(DeadLatents, AgeUnlessTheyFired) {
  Stream stream;
  std::vector<int32_t> fired = {0, 1, 0};
  std::vector<int64_t> tokens = {5, 6, 0};
  age_latents(10, {fired.data(), {3}}, {tokens.data(), {3}}, stream);
  EXPECT_EQ(tokens, (std::vector<int64_t>{15, 0, 10}));
  EXPECT_EQ(fired, std::vector<int32_t>(3, 0));
}

TEST(DeadLatents, AreListedInOrder) {
  Stream stream;
  const std::vector<int64_t> tokens = {9, 10, 11, 0, 10};
  std::vector<int32_t> list(5, -1);
  std::vector<int64_t> scratch(static_cast<size_t>(dead_list_scratch(5)));
  const Vector<int64_t> room{scratch.data(), {dead_list_scratch(5)}};
  EXPECT_EQ(list_dead({tokens.data(), {5}}, 10, {list.data(), {5}}, room, stream), 3);
  EXPECT_EQ((std::vector<int32_t>(list.begin(), list.begin() + 3)), (std::vector<int32_t>{1, 2, 4}));
  EXPECT_EQ(list_dead({tokens.data(), {5}}, 12, {list.data(), {5}}, room, stream), 0);
  EXPECT_THROW((void)list_dead({tokens.data(), {5}}, 12, {list.data(), {4}}, room, stream), Error);
}

TEST(DeadLatents, BiasesAndNumbersOfTheChosen) {
  Stream stream;
  const std::vector<int32_t> chosen = {1, 2};
  const std::vector<float> bias = {1.0f, 2.0f, 3.0f};
  std::vector<float> gathered(2);
  std::vector<int32_t> numbers(2);
  gather_chosen({chosen.data(), {2}}, 50, {bias.data(), {3}}, {gathered.data(), {2}}, {numbers.data(), {2}},
                stream);
  EXPECT_EQ(gathered, (std::vector<float>{2.0f, 3.0f}));
  EXPECT_EQ(numbers, (std::vector<int32_t>{51, 52}));
}

}  // namespace
}  // namespace orthant::kernels
