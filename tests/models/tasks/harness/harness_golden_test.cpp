// PIQA's requests and metrics, against those of lm-evaluation-harness itself on the same files.
#include <gtest/gtest.h>

#include "models/tasks/harness/read_task.h"
#include "models/tasks/harness/task_metrics.h"
#include "models/tasks/pair_scoring.h"
#include "runtime/core/hash.h"
#include "tests/support/golden_model.h"

namespace orthant::models {
namespace {

// The first 16 hexadecimal digits of SHA-256 over the ids in little-endian int32.
std::string hash_of(const TokenPair& pair) {
  Sha256 hash;
  for (const auto* ids : {&pair.context, &pair.continuation}) {
    hash.update(ids->data(), static_cast<int64_t>(ids->size() * sizeof(int32_t)));
  }
  return hash.hex().substr(0, 16);
}

TEST(HarnessGolden, PiqaHasTheTokensOfTheHarness) {
  ORTHANT_NEEDS_GOLDEN();
  ORTHANT_NEEDS_SHARED("data/piqa/valid.jsonl");
  const boost::json::value expected = testing::golden("piqa.json");
  const auto& items = expected.at("items").as_array();
  const auto documents = read_task(find_task("piqa"), (testing::shared_folder() / "data/piqa").string(),
                                   static_cast<int64_t>(items.size()));
  ASSERT_EQ(documents.size(), 100u);
  for (size_t d = 0; d < documents.size(); ++d) {
    const auto hashes = testing::list_of<std::string>(items[d].at("ids_sha256_16"));
    const auto context = testing::list_of<int64_t>(items[d].at("n_ctx"));
    const auto continuation = testing::list_of<int64_t>(items[d].at("n_cont"));
    EXPECT_EQ(documents[d].gold, items[d].at("label").to_number<int64_t>());
    EXPECT_EQ(documents[d].choice_characters, testing::list_of<int64_t>(items[d].at("n_chars")));
    for (size_t c = 0; c < 2; ++c) {
      const TaskRequest& request = documents[d].requests[c];
      const TokenPair pair = encode_pair(testing::golden_tokenizer(), request.context, request.continuation);
      EXPECT_EQ(hash_of(pair), hashes[c]) << d << ", " << c;
      EXPECT_EQ(static_cast<int64_t>(pair.context.size()), context[c]);
      EXPECT_EQ(static_cast<int64_t>(pair.continuation.size()), continuation[c]);
    }
  }
}

TEST(HarnessGolden, PiqaHasTheMetricsOfTheHarness) {
  ORTHANT_NEEDS_SHARED("golden/smollm2_135m/piqa.json");
  ORTHANT_NEEDS_SHARED("data/piqa/valid.jsonl");
  const boost::json::value expected = testing::golden("piqa.json");
  const auto documents = read_task(find_task("piqa"), (testing::shared_folder() / "data").string(), 100);
  std::vector<std::vector<RequestScore>> scores;
  std::vector<double> acc, acc_norm;
  for (const boost::json::value& item : expected.at("items").as_array()) {
    auto& choices = scores.emplace_back();
    for (const double log_prob : testing::list_of<double>(item.at("sum_logprob"))) {
      choices.push_back({.log_prob = log_prob, .tokens = 1});
    }
    acc.push_back(item.at("acc").to_number<double>());
    acc_norm.push_back(item.at("acc_norm").to_number<double>());
  }
  const auto metrics = task_metrics(find_task("piqa"), documents, scores);
  EXPECT_EQ(metrics[0].documents, acc);
  EXPECT_EQ(metrics[1].documents, acc_norm);
  EXPECT_DOUBLE_EQ(metrics[0].value, expected.at("acc").as_double());
  EXPECT_DOUBLE_EQ(metrics[1].value, expected.at("acc_norm").as_double());
}

}  // namespace
}  // namespace orthant::models
