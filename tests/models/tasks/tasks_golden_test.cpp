#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/tasks/generation.h"
#include "models/tasks/pair_scoring.h"
#include "models/tasks/window_perplexity.h"
#include "models/text/token_rows.h"
#include "models/transformer/language_model.h"
#include "tests/support/golden_model.h"

namespace orthant {
namespace {

using testing::golden;
using testing::golden_tokenizer;
using testing::golden_weights;
using testing::list_of;

constexpr auto kQuiet = [](int64_t) {};

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// ORTHANT_TEST_LONG=1 checks every golden window and item.
bool is_long() {
  return std::getenv("ORTHANT_TEST_LONG") != nullptr;
}

void check_windows(const boost::json::value& expected, const std::vector<int32_t>& ids, int64_t window,
                   int64_t count) {
  Stream stream;
  const auto nll =
      models::window_nll(golden_weights(), ids, window, {0, count}, kQuiet, testing::test_memory(), stream);
  const auto means = list_of<double>(expected.at("window_mean_nll"));
  ASSERT_EQ(nll.size(), static_cast<size_t>(count));
  for (size_t i = 0; i < nll.size(); ++i) EXPECT_NEAR(nll[i], means[i], 2e-4) << i;
  if (const auto* ppl = expected.as_object().if_contains("ppl_first_" + std::to_string(count))) {
    EXPECT_NEAR(models::perplexity_of(nll) / ppl->to_number<double>(), 1.0, 1e-4);
  }
}

TEST(TasksGolden, WindowPerplexityIsThatOfTheReference) {
  ORTHANT_NEEDS_GOLDEN();
  ORTHANT_NEEDS_SHARED("data/wikitext-2/test.txt");
  const auto expected = golden("perplexity.json");
  std::string text = read_file(testing::shared_folder() / "data/wikitext-2/test.txt");
  if (!is_long()) text.resize(10000);
  const auto ids = golden_tokenizer().encode(text);
  ASSERT_GT(ids.size(), 1024u);
  check_windows(expected.at("L512"), ids, 512, is_long() ? 32 : 2);
  if (is_long()) check_windows(expected.at("L2048"), ids, 2048, 4);
}

TEST(TasksGolden, GreedyContinuationsAreThoseOfTheReference) {
  ORTHANT_NEEDS_GOLDEN();
  const auto document = golden("greedy.json");
  std::vector<std::vector<int32_t>> prompts;
  for (const auto& c : document.at("cases").as_array()) {
    std::string prompt(c.at("prompt").as_string());
    if (c.at("kind").as_string() == "chat") {
      const models::ChatMessage message{"user", std::string(c.at("user").as_string())};
      prompt = golden_tokenizer().apply_chat_template({&message, 1});
    }
    prompts.push_back(golden_tokenizer().encode(prompt));
    EXPECT_EQ(prompts.back(), list_of<int32_t>(c.at("prompt_ids")));
  }
  Stream stream;
  const auto found = models::generate(golden_weights(), prompts, {.stops = golden_tokenizer().ends()},
                                      testing::test_memory(), stream);
  for (size_t i = 0; i < prompts.size(); ++i) {
    const auto& expected = document.at("cases").as_array()[i];
    EXPECT_EQ(found[i], list_of<int32_t>(expected.at("new_ids"))) << i;
    EXPECT_EQ(golden_tokenizer().decode(found[i]), std::string(expected.at("new_text").as_string())) << i;
  }
}

// The two choices of each of the first `count` items of PIQA.
std::vector<models::TokenPair> piqa_pairs(size_t count) {
  std::ifstream lines(testing::shared_folder() / "data/piqa/valid.jsonl");
  std::vector<models::TokenPair> pairs;
  std::string line;
  for (size_t i = 0; i < count && std::getline(lines, line); ++i) {
    const auto item = boost::json::parse(line);
    const std::string context =
        fmt::format("Question: {}\nAnswer:", std::string_view(item.at("goal").as_string()));
    for (const char* choice : {"sol1", "sol2"}) {
      pairs.push_back(models::encode_pair(golden_tokenizer(), context,
                                          fmt::format(" {}", std::string_view(item.at(choice).as_string()))));
    }
  }
  return pairs;
}

// Python's white space is that of Unicode.
TEST(TasksGolden, WhiteSpaceAtTheEndOfAContextBelongsToTheContinuation) {
  ORTHANT_NEEDS_GOLDEN();
  for (const std::string space : {" ", "\n ", "\u00a0", "\u2003"}) {
    const auto moved = models::encode_pair(golden_tokenizer(), "The capital" + space, "of");
    const auto kept = models::encode_pair(golden_tokenizer(), "The capital", space + "of");
    EXPECT_EQ(moved.context, kept.context);
    EXPECT_EQ(moved.continuation, kept.continuation);
    EXPECT_EQ(moved.context, golden_tokenizer().encode("The capital"));
  }
}

TEST(TasksGolden, PairScoresAreThoseOfTheHarness) {
  ORTHANT_NEEDS_GOLDEN();
  ORTHANT_NEEDS_SHARED("data/piqa/valid.jsonl");
  const auto document = golden("piqa.json");
  const auto& items = document.at("items").as_array();
  const size_t count = is_long() ? items.size() : 4;
  const auto pairs = piqa_pairs(count);
  Stream stream;
  const auto scores = models::score_pairs(golden_weights(), pairs, {}, testing::test_memory(), stream).pairs;
  ASSERT_EQ(scores.size(), 2 * count);
  for (size_t i = 0; i < scores.size(); ++i) {
    const auto& item = items[i / 2];
    EXPECT_EQ(pairs[i].context.size(), item.at("n_ctx").as_array()[i % 2].to_number<size_t>());
    EXPECT_EQ(scores[i].tokens, item.at("n_cont").as_array()[i % 2].to_number<int64_t>());
    EXPECT_NEAR(scores[i].log_prob, item.at("sum_logprob").as_array()[i % 2].to_number<double>(), 5e-3);
    EXPECT_EQ(scores[i].greedy, item.at("greedy").as_array()[i % 2].as_bool());
  }
}

TEST(TasksGolden, PairScoresHaveTheSameBitsInEveryLayout) {
  ORTHANT_NEEDS_GOLDEN();
  ORTHANT_NEEDS_SHARED("data/piqa/valid.jsonl");
  const auto pairs = piqa_pairs(is_long() ? 32 : 3);
  Stream stream;
  const auto scores_in = [&](const models::PairLayout& layout) {
    return models::score_pairs(golden_weights(), pairs,
                               {.layout = layout, .rounding = models::LogitRounding::kBf16Too},
                               testing::test_memory(), stream)
        .pairs;
  };
  const auto expected = scores_in({});
  const models::PairLayout layouts[] = {{.shares_contexts = false, .batch = 1},
                                        {.batch = 8},
                                        {.shares_contexts = false, .batch = 64, .pads = true}};
  for (const models::PairLayout& layout : layouts) {
    const auto scores = scores_in(layout);
    for (size_t i = 0; i < pairs.size(); ++i) {
      EXPECT_EQ(scores[i].log_prob, expected[i].log_prob) << i << " batch " << layout.batch;
      EXPECT_EQ(scores[i].log_prob_bf16, expected[i].log_prob_bf16) << i << " batch " << layout.batch;
    }
  }
}

TEST(TasksGolden, TheSmallModelGivesLogitsIdsAndTextOfTheReference) {
  ORTHANT_NEEDS_SHARED("golden/smollm2_135m");
  ORTHANT_NEEDS_SHARED("data/models/stories260K/stories260K.bin");
  const auto document = golden("stories260k.json");
  const auto& expected = document.at("cases").as_array()[0];
  Memory memory;
  Stream stream;
  const models::LanguageModel model = models::open_language_model(
      (testing::shared_folder() / "data/models/stories260K/stories260K.bin").string(), "", {}, memory,
      stream);
  auto ids = model.tokenizer->encode(std::string(expected.at("prompt").as_string()));
  ASSERT_TRUE(model.tokenizer->bos().has_value());
  ids.insert(ids.begin(), *model.tokenizer->bos());
  ASSERT_EQ(ids, list_of<int32_t>(expected.at("ids_with_bos")));

  models::RunState state(memory, model.weights, {static_cast<int64_t>(ids.size()), 1, 512});
  const std::vector<int64_t> offsets = {0, static_cast<int64_t>(ids.size())};
  const std::vector<int64_t> last = {static_cast<int64_t>(ids.size()) - 1};
  std::vector<float> logits(512);
  const auto hidden =
      models::forward(model.weights, {.batch = {ids, offsets}, .logit_rows = last}, state, stream);
  models::project_logits(model.weights, hidden, {logits.data(), {1, 512}}, state, stream);
  const auto golden_logits = list_of<double>(expected.at("last_logits_all"));
  for (size_t v = 0; v < 512; ++v) EXPECT_NEAR(logits[v], golden_logits[v], 1e-4) << v;

  const auto greedy = list_of<int32_t>(expected.at("greedy_ids"));
  const std::vector<std::vector<int32_t>> prompts = {ids};
  const auto found = models::generate(
      model.weights, prompts, {.max_new_tokens = static_cast<int64_t>(greedy.size())}, memory, stream);
  EXPECT_EQ(found[0], greedy);
  std::vector<int32_t> all(ids.begin() + 1, ids.end());
  all.insert(all.end(), greedy.begin(), greedy.end());
  const std::string text = model.tokenizer->decode(all);
  EXPECT_EQ(text.substr(text.find_first_not_of(' ')), expected.at("text").as_string());
}

}  // namespace
}  // namespace orthant
