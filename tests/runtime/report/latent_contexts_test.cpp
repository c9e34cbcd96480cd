#include "runtime/report/latent_contexts.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/run_fixture.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

std::string latent_line(int latent, double density, int contexts) {
  std::string list;
  for (int i = 0; i < contexts; ++i) {
    list += std::string(i > 0 ? "," : "") + R"({"tokens":["x","y"],"activations":[0.5,)" + std::to_string(i) +
            "]}";
  }
  return "{\"latent\":" + std::to_string(latent) + ",\"density\":" + std::to_string(density) +
         ",\"max_activation\":1,\"contexts\":[" + list + "]}\n";
}

TEST(LatentContexts, KeepsLatentsSpreadOverDensities) {
  const testing::TempDir folder;
  std::string text;
  for (int i = 0; i < 101; ++i) text += latent_line(i, 0.001 * ((i * 37) % 101), 3);
  testing::write_text(folder.file("c.jsonl"), text);
  const LatentContexts found = read_latent_contexts(folder.file("c.jsonl"), {.latents = 5, .contexts = 2});
  EXPECT_EQ(found.latents_in_file, 101);
  ASSERT_EQ(found.latents.size(), 5u);
  for (int i = 0; i < 5; ++i) {
    EXPECT_NEAR(found.latents[static_cast<size_t>(i)].density, 0.1 - 0.025 * i, 1e-9);
    EXPECT_EQ(found.latents[static_cast<size_t>(i)].contexts.size(), 2u);
  }
}

TEST(LatentContexts, PeakIsTheGreatestActivationWhereItIsNotTold) {
  const testing::TempDir folder;
  testing::write_text(folder.file("c.jsonl"), latent_line(1, 0.5, 2));
  const LatentContexts found = read_latent_contexts(folder.file("c.jsonl"), {});
  ASSERT_EQ(found.latents.size(), 1u);
  EXPECT_EQ(found.latents[0].contexts[0].peak, 0u);
  EXPECT_EQ(found.latents[0].contexts[1].peak, 1u);
}

TEST(LatentContexts, DamagedLinesAreCountedAndLatentsWithoutContextsLeftOut) {
  const testing::TempDir folder;
  testing::write_text(folder.file("c.jsonl"),
                      "garbage\n" + latent_line(1, 0.5, 1) + "\n" + latent_line(2, 0.5, 0) +
                          R"({"latent":3,"contexts":[{"tokens":["a"],"activations":[1,2]}]})" + "\n" +
                          R"({"latent":4,"contexts":[{"tokens":["a"],"activations":[1],"peak":99}]})" + "\n" +
                          R"({"latent":5,"contexts":[{"tokens":["cut)");
  const LatentContexts found = read_latent_contexts(folder.file("c.jsonl"), {});
  EXPECT_EQ(found.damaged_lines, 3);
  EXPECT_EQ(found.latents_in_file, 3);
  ASSERT_EQ(found.latents.size(), 2u);
  EXPECT_EQ(found.latents[1].latent, 4);
  EXPECT_EQ(found.latents[1].contexts[0].peak, 0u);
  EXPECT_TRUE(std::isnan(found.latents[1].density));
}

TEST(LatentContexts, ScoredLatentsComeBestFirstWithIntervalsAndTokens) {
  const testing::TempDir folder;
  const auto line = [](int latent, double score) {
    return fmt::format(
        R"({{"latent":{},"density":0.1,"score":{},"contexts":[{{"tokens":["a"],"activations":[1]}}],)"
        R"("quantiles":[{{"low":1,"high":2,"share":0.1,"contexts":[{{"tokens":["b"],"activations":[2]}}]}},)"
        R"({{"low":0,"high":1,"share":0.0,"contexts":[]}}],)"
        R"("top_logits":[{{"token":" yes","id":3,"logit":1.5}}],"bottom_logits":[{{"token":"no","id":4,"logit":-2}}]}})"
        "\n",
        latent, score);
  };
  testing::write_text(folder.file("c.jsonl"), line(1, -0.5) + line(2, 0.25) + line(3, 0.125));
  const LatentContexts found = read_latent_contexts(folder.file("c.jsonl"), {.latents = 2});
  EXPECT_TRUE(found.by_score);
  ASSERT_EQ(found.latents.size(), 2u);
  EXPECT_EQ(found.latents[0].latent, 2);
  EXPECT_EQ(found.latents[1].latent, 3);
  ASSERT_EQ(found.latents[0].intervals.size(), 1u);  // one without examples shows nothing
  EXPECT_EQ(found.latents[0].intervals[0].high, 2.0);
  EXPECT_EQ(found.latents[0].intervals[0].contexts[0].tokens[0], "b");
  EXPECT_EQ(found.latents[0].likelier, std::vector<std::string>{" yes"});
  EXPECT_EQ(found.latents[0].unlikelier, std::vector<std::string>{"no"});
}

TEST(LatentContexts, AbsentFilesAndNoWishesGiveNothing) {
  const testing::TempDir folder;
  EXPECT_EQ(read_latent_contexts(folder.file("absent"), {}).latents_in_file, 0);
  testing::write_text(folder.file("c.jsonl"), latent_line(1, 0.5, 2));
  EXPECT_TRUE(read_latent_contexts(folder.file("c.jsonl"), {.latents = 0}).latents.empty());
}

}  // namespace
}  // namespace orthant
