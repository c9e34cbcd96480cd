// Against the draws of CPython 3.11.
#include "models/tasks/harness/python_random.h"

#include <gtest/gtest.h>

#include "runtime/core/error.h"
#include "tests/support/code_of.h"

namespace orthant::models {
namespace {

using Numbers = std::vector<int64_t>;

Numbers words(uint64_t seed, int count) {
  PythonRandom random(seed);
  Numbers found;
  for (int i = 0; i < count; ++i) found.push_back(random.random_bits(32));
  return found;
}

TEST(PythonRandom, GivesTheWordsOfASeed) {
  EXPECT_EQ(words(0, 3), (Numbers{3626764237, 1654615998, 3255389356}));
  EXPECT_EQ(words(1234, 5), (Numbers{4150886329, 3342196574, 1892932127, 501869158, 32175636}));
  EXPECT_EQ(words(uint64_t{1} << 40, 3), (Numbers{445128065, 1517081360, 2880015531}));
}

TEST(PythonRandom, SamplesOneAfterAnother) {
  PythonRandom random(1234);
  EXPECT_EQ(random.sample(7473, 5), (Numbers{6374, 3610, 957, 61, 742}));
  EXPECT_EQ(random.sample(7473, 5), (Numbers{7462, 6610, 4769, 286, 5501}));
  EXPECT_EQ(random.sample(7473, 5), (Numbers{5677, 687, 806, 6279, 2905}));
  EXPECT_EQ(random.sample(7473, 5), (Numbers{1939, 142, 252, 6461, 129}));
  for (int i = 4; i < 1318; ++i) (void)random.sample(7473, 5);
  EXPECT_EQ(random.sample(7473, 5), (Numbers{220, 4179, 6064, 5599, 5541}));
}

// Few are drawn from a list, many by rejection; both sides of both bounds, 21 and 21 + 4^3.
TEST(PythonRandom, SamplesSmallPopulations) {
  PythonRandom random(1234);
  EXPECT_EQ(random.sample(12, 5), (Numbers{7, 1, 0, 10, 9}));
  EXPECT_EQ(random.sample(21, 5), (Numbers{2, 3, 11, 7, 0}));
  EXPECT_EQ(random.sample(22, 5), (Numbers{0, 11, 20, 19, 15}));
  EXPECT_EQ(random.sample(100, 8), (Numbers{78, 59, 19, 11, 23, 91, 14, 1}));
  EXPECT_EQ(random.sample(70, 8), (Numbers{64, 62, 31, 8, 59, 66, 11, 32}));
  EXPECT_EQ(random.sample(85, 8), (Numbers{74, 5, 34, 71, 8, 38, 61, 45}));
  EXPECT_EQ(random.sample(86, 8), (Numbers{34, 31, 83, 25, 58, 67, 85, 2}));
  EXPECT_EQ(random.sample(1, 1), (Numbers{0}));
  EXPECT_EQ(random.sample(3, 0), Numbers{});
}

TEST(PythonRandom, RefusesMoreThanThereAre) {
  EXPECT_EQ(testing::code_of([] { (void)PythonRandom(1).sample(4, 5); }), ExitCode::kConfig);
}

}  // namespace
}  // namespace orthant::models
