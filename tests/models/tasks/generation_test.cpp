#include "models/tasks/generation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "models/tasks/harness/response.h"
#include "runtime/core/error.h"
#include "tests/support/letter_tokenizer.h"
#include "tests/support/memory_model.h"

namespace orthant {
namespace {

std::vector<int32_t> tokens(int64_t count, int32_t seed) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>((i * i * 5 + i + seed) % 11));
  return ids;
}

class Generation : public ::testing::Test {
 protected:
  Memory memory;
  Stream stream;
  testing::MemoryModel model{testing::varied_config()};
  models::Weights weights = models::load_weights(model, {}, memory, stream);
};

TEST_F(Generation, DoesNotDependOnTheBatchAndStops) {
  const std::vector<std::vector<int32_t>> prompts = {{1, 2, 3}, tokens(40, 5), {9}};
  const models::GenerationOptions options{.max_new_tokens = 30};
  const auto together = models::generate(weights, prompts, options, memory, stream);
  for (size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_EQ(together[i].size(), 30u);
    EXPECT_EQ(models::generate(weights, std::span(prompts).subspan(i, 1), options, memory, stream)[0],
              together[i]);
  }
  const int32_t stop = together[1][4];
  const auto stopped =
      models::generate(weights, prompts, {.max_new_tokens = 30, .stops = {-1, stop}}, memory, stream);
  const auto first = std::find(together[1].begin(), together[1].end(), stop);
  EXPECT_EQ(stopped[1], std::vector<int32_t>(together[1].begin(), first + 1));
}

TEST_F(Generation, SamplingIsReproducibleAndFollowsTheSeed) {
  const std::vector<std::vector<int32_t>> prompts = {{1, 2, 3}};
  const auto sampled = [&](uint64_t seed, double temperature) {
    return models::generate(weights, prompts,
                            {.max_new_tokens = 40, .temperature = temperature, .seed = seed}, memory,
                            stream)[0];
  };
  EXPECT_EQ(sampled(1, 1.0), sampled(1, 1.0));
  EXPECT_NE(sampled(1, 1.0), sampled(2, 1.0));
  EXPECT_EQ(sampled(1, 1e-6), sampled(1, 0.0));
}

TEST_F(Generation, EndsWhereTheContextDoes) {
  const std::vector<std::vector<int32_t>> prompts = {tokens(508, 5)};
  EXPECT_EQ(models::generate(weights, prompts, {.max_new_tokens = 30}, memory, stream)[0].size(), 4u);
  const std::vector<std::vector<int32_t>> full = {tokens(512, 5)}, none = {{}};
  EXPECT_THROW((void)models::generate(weights, full, {}, memory, stream), Error);
  EXPECT_THROW((void)models::generate(weights, none, {}, memory, stream), Error);
}

// Sampled ones end at different lengths, so that slots become free at different times.
TEST_F(Generation, GivesTheSameHoweverManyPromptsAreContinuedTogether) {
  std::vector<std::vector<int32_t>> prompts;
  for (int32_t i = 0; i < 9; ++i) prompts.push_back(tokens(1 + 37 * i % 90, i));
  for (const double temperature : {0.0, 2.0}) {
    models::GenerationOptions options{
        .max_new_tokens = 20, .temperature = temperature, .seed = 5, .stops = {4}};
    const auto all = models::generate(weights, prompts, options, memory, stream);
    std::vector<size_t> lengths;
    for (const auto& ids : all) lengths.push_back(ids.size());
    if (temperature > 0.0) {
      EXPECT_NE(std::ranges::min(lengths), std::ranges::max(lengths));
    }
    for (const int64_t together : {1, 2, 4, 50}) {
      options.together = together;
      EXPECT_EQ(models::generate(weights, prompts, options, memory, stream), all) << together;
    }
  }
}

// More rows than one forward takes.
TEST_F(Generation, LongPromptsWaitForRoom) {
  std::vector<std::vector<int32_t>> prompts;
  for (int32_t i = 0; i < 6; ++i) prompts.push_back(tokens(490 + i, i));
  const models::GenerationOptions options{.max_new_tokens = 5};
  const auto all = models::generate(weights, prompts, options, memory, stream);
  for (size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_EQ(models::generate(weights, std::span(prompts).subspan(i, 1), options, memory, stream)[0],
              all[i]);
  }
}

TEST_F(Generation, EndsWhereTheTextHasAStopString) {
  const testing::LetterTokenizer tokenizer;
  const std::vector<std::vector<int32_t>> prompts = {{1, 2, 3}, tokens(40, 5), {9}};
  const auto whole = models::generate(weights, prompts, {.max_new_tokens = 30}, memory, stream);
  const std::string text = tokenizer.decode(whole[1]);
  const std::vector<std::string> stops = {"no such text", text.substr(6, 2)};
  std::vector<int64_t> counts;
  const auto ids = models::generate(weights, prompts,
                                    {.max_new_tokens = 30,
                                     .is_complete =
                                         [&](std::span<const int32_t> found) {
                                           return tokenizer.decode(found).find(stops[1]) != std::string::npos;
                                         },
                                     .together = 2,
                                     .progress = [&](int64_t complete) { counts.push_back(complete); }},
                                    memory, stream);
  for (size_t i = 0; i < prompts.size(); ++i) {
    const std::string all = tokenizer.decode(whole[i]), found = tokenizer.decode(ids[i]);
    const size_t stop = all.find(stops[1]);
    EXPECT_EQ(found, stop == std::string::npos ? all : all.substr(0, stop + 2));
    EXPECT_EQ(models::text_before_stops(found, stops), models::text_before_stops(all, stops));
  }
  EXPECT_LT(ids[1].size(), 30u);
  EXPECT_TRUE(std::ranges::is_sorted(counts));
  EXPECT_EQ(counts.back(), 3);
}

}  // namespace
}  // namespace orthant
