#include "models/tasks/harness/task_metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "runtime/core/error.h"
#include "tests/support/code_of.h"

namespace orthant::models {
namespace {

using Scores = std::vector<std::vector<RequestScore>>;

RequestScore score(double log_prob, int64_t tokens = 1, bool greedy = false) {
  return {.log_prob = log_prob, .log_prob_bf16 = log_prob, .greedy = greedy, .tokens = tokens};
}

TaskDocument choices(int64_t gold, const std::vector<int64_t>& characters, const std::string& group = "") {
  TaskDocument document{.gold = gold, .choice_characters = characters, .group = group};
  document.requests.resize(characters.size());
  return document;
}

// `right` of `count` documents are answered.
double accuracy_error(int64_t right, int64_t count) {
  std::vector<TaskDocument> documents(static_cast<size_t>(count), choices(0, {1, 1}));
  Scores scores;
  for (int64_t d = 0; d < count; ++d) {
    scores.push_back({score(d < right ? -1.0 : -3.0), score(-2.0)});
  }
  const TaskMetric acc = task_metrics(find_task("boolq"), documents, scores).front();
  EXPECT_DOUBLE_EQ(acc.value, static_cast<double>(right) / static_cast<double>(count));
  return acc.standard_error;
}

// Published accuracies have four digits, so the documents behind them are known to within n / 10000.
TEST(TaskMetrics, StandardErrorsOfAccuracy) {
  EXPECT_NEAR(accuracy_error(1950, 2376), 0.007871, 2e-6);
  EXPECT_NEAR(accuracy_error(2744, 3270), 0.006427, 2e-6);
  EXPECT_NEAR(accuracy_error(1471, 1838), 0.009327, 2e-6);
  EXPECT_NEAR(accuracy_error(930, 1267), 0.012419, 2e-6);
  EXPECT_NEAR(accuracy_error(3, 4), std::sqrt(0.75 * 0.25 / 3.0), 1e-15);
  EXPECT_TRUE(std::isnan(accuracy_error(1, 1)));
}

TEST(TaskMetrics, LengthsAreCodePointsAndTiesGoToTheLowest) {
  const std::vector<TaskDocument> documents = {choices(0, {2, 4}), choices(1, {1, 2}), choices(0, {1, 1, 1})};
  const Scores scores = {{score(-2.0), score(-3.0)},  // -1 and -0.75 by length
                         {score(-1.0), score(-2.0)},  // tied by length
                         {score(-5.0), score(-5.0), score(-5.0)}};
  const auto metrics = task_metrics(find_task("piqa"), documents, scores);
  ASSERT_EQ(metrics.size(), 2u);
  EXPECT_EQ(metrics[0].name, "acc");
  EXPECT_EQ(metrics[0].documents, (std::vector<double>{1.0, 0.0, 1.0}));
  EXPECT_EQ(metrics[1].name, "acc_norm");
  EXPECT_EQ(metrics[1].documents, (std::vector<double>{0.0, 0.0, 1.0}));
  EXPECT_TRUE(metrics[0].log_documents.empty());
}

TEST(TaskMetrics, TheModeChoosesTheLogLikelihoods) {
  const std::vector<TaskDocument> documents = {choices(1, {1, 1})};
  const Scores scores = {
      {{.log_prob = -20.06, .log_prob_bf16 = -20.0}, {.log_prob = -20.05, .log_prob_bf16 = -20.0}}};
  EXPECT_EQ(task_metrics(find_task("rte"), documents, scores).front().value, 1.0);
  EXPECT_EQ(task_metrics(find_task("rte"), documents, scores, NumericMode::kBf16).front().value, 0.0);
}

TEST(TaskMetrics, MmluPoolsItsSubjects) {
  // virology 1, 0, 1; astronomy 0; sociology 1, 1.
  const std::vector<std::pair<const char*, double>> answers = {{"virology", 1.0},  {"astronomy", 0.0},
                                                               {"virology", 0.0},  {"sociology", 1.0},
                                                               {"sociology", 1.0}, {"virology", 1.0}};
  std::vector<TaskDocument> documents;
  Scores scores;
  for (const auto& [subject, right] : answers) {
    documents.push_back(choices(0, {1, 1, 1, 1}, subject));
    scores.push_back({score(right == 1.0 ? -1.0 : -9.0), score(-2.0), score(-3.0), score(-4.0)});
  }
  const auto metrics = task_metrics(find_task("mmlu"), documents, scores);
  ASSERT_EQ(metrics.size(), 7u);  // none of the humanities
  EXPECT_EQ(metrics[0].name, "acc");
  EXPECT_DOUBLE_EQ(metrics[0].value, 4.0 / 6.0);
  // Squares within virology 2/3, else none; 6 documents less 3 subjects.
  EXPECT_DOUBLE_EQ(metrics[0].standard_error, std::sqrt(2.0 / 3.0 / 3.0 / 6.0));
  EXPECT_EQ(metrics[0].documents, (std::vector<double>{1, 0, 0, 1, 1, 1}));
  EXPECT_EQ(metrics[1].name, "acc_stem");
  EXPECT_EQ(metrics[1].value, 0.0);
  EXPECT_TRUE(std::isnan(metrics[1].standard_error));
  EXPECT_EQ(metrics[2].name, "acc_social_sciences");
  EXPECT_EQ(metrics[2].standard_error, 0.0);
  EXPECT_EQ(metrics[3].name, "acc_other");
  EXPECT_EQ(metrics[3].documents, (std::vector<double>{1, 0, 1}));
  EXPECT_EQ(metrics[4].name, "acc_virology");
  EXPECT_DOUBLE_EQ(metrics[4].value, 2.0 / 3.0);
  EXPECT_DOUBLE_EQ(metrics[4].standard_error, 1.0 / 3.0);  // sqrt(2/3 / 2 / 3)
  EXPECT_EQ(metrics[5].name, "acc_astronomy");
  EXPECT_EQ(metrics[6].name, "acc_sociology");
}

TEST(TaskMetrics, LambadaCountsGreedyWords) {
  const std::vector<TaskDocument> documents(3);
  const Scores scores = {{score(-1.0, 2, true)}, {score(-2.0, 1)}, {score(-6.0, 1)}};
  const auto metrics = task_metrics(find_task("lambada_openai"), documents, scores);
  EXPECT_DOUBLE_EQ(metrics[0].value, 1.0 / 3.0);
  EXPECT_EQ(metrics[1].name, "perplexity");
  EXPECT_DOUBLE_EQ(metrics[1].value, std::exp(3.0));
  EXPECT_DOUBLE_EQ(metrics[1].standard_error, std::exp(3.0) * std::sqrt(14.0 / 2.0 / 3.0));
  EXPECT_TRUE(metrics[1].documents.empty());
  EXPECT_EQ(metrics[1].log_documents, (std::vector<double>{1.0, 2.0, 6.0}));
}

TEST(TaskMetrics, WikitextDividesByTheOriginalPage) {
  std::vector<TaskDocument> documents(2);
  documents[0].page = "a b";   // 2 words, 3 bytes
  documents[1].page = " é c";  // 3 words, 5 bytes
  const Scores scores = {{score(-2.0), score(-4.0)}, {score(-5.0)}};
  const auto metrics = task_metrics(find_task("wikitext"), documents, scores);
  ASSERT_EQ(metrics.size(), 3u);
  EXPECT_DOUBLE_EQ(metrics[0].value, std::exp(11.0 / 5.0));
  EXPECT_DOUBLE_EQ(metrics[1].value, std::exp(11.0 / 8.0));
  EXPECT_DOUBLE_EQ(metrics[2].value, 11.0 / 8.0 / std::numbers::ln2);
  EXPECT_EQ(metrics[2].name, "bits_per_byte");
  EXPECT_NEAR(metrics[2].standard_error, metrics[1].standard_error / metrics[1].value / std::numbers::ln2,
              1e-15);
}

TEST(TaskMetrics, WindowPerplexityWeighsWindowsAlike) {
  const TaskSpec& task = find_task("window_perplexity");
  const std::vector<TaskDocument> text(1);
  const auto one = task_metrics(task, text, Scores{{score(-6.0, 3), score(-4.0, 1)}});
  EXPECT_DOUBLE_EQ(one[0].value, std::exp(3.0));
  EXPECT_EQ(one[0].log_documents, (std::vector<double>{2.0, 4.0}));
  EXPECT_DOUBLE_EQ(one[0].standard_error, std::exp(3.0));
  const auto each = task_metrics(task, text, Scores{{score(-6.0, 3)}, {score(-4.0, 1)}});
  EXPECT_EQ(each[0].value, one[0].value);
}

// The linearized values have the ratio as their mean and its delta-method error as theirs.
TEST(TaskMetrics, AnswersAreWeighedByTheirTokens) {
  const std::vector<TaskDocument> documents(3);
  const std::vector<double> nll = {6.0, 5.0, 1.0}, tokens = {4.0, 2.0, 2.0};
  Scores scores;
  for (size_t d = 0; d < 3; ++d) scores.push_back({score(-nll[d], static_cast<int64_t>(tokens[d]))});
  const TaskMetric metric = task_metrics(find_task("gsm8k_answers"), documents, scores).front();
  EXPECT_DOUBLE_EQ(metric.value, std::exp(12.0 / 8.0));
  double squares = 0.0, mean = 0.0, spread = 0.0;
  for (size_t d = 0; d < 3; ++d) squares += std::pow(nll[d] - 1.5 * tokens[d], 2);
  EXPECT_NEAR(metric.standard_error, std::exp(1.5) * std::sqrt(3.0 / 2.0 * squares) / 8.0, 1e-14);
  for (const double value : metric.log_documents) mean += value / 3.0;
  for (const double value : metric.log_documents) spread += (value - mean) * (value - mean);
  EXPECT_NEAR(mean, 1.5, 1e-15);
  EXPECT_NEAR(metric.standard_error, metric.value * std::sqrt(spread / 2.0 / 3.0), 1e-14);
}

TEST(TaskMetrics, Gsm8kCutsAtStops) {
  std::vector<TaskDocument> documents(2);
  for (TaskDocument& document : documents) document.answer = "x\n#### 18";
  const std::vector<std::string> responses = {" so #### 18\n\nQuestion: 5", " it is 18.\xff"};
  const auto metrics = gsm8k_metrics(find_task("gsm8k"), documents, responses);
  EXPECT_EQ(metrics[0].documents, (std::vector<double>{1.0, 0.0}));
  EXPECT_EQ(metrics[1].documents, (std::vector<double>{1.0, 1.0}));
  EXPECT_EQ(metrics[1].name, "exact_match_flexible");
}

TEST(TaskMetrics, RefuseWhatHasNoScore) {
  const TaskSpec& piqa = find_task("piqa");
  EXPECT_EQ(testing::code_of([&] { (void)task_metrics(piqa, {}, {}); }), ExitCode::kConfig);
  const std::vector<TaskDocument> documents = {choices(0, {1, 1})};
  EXPECT_EQ(testing::code_of([&] {
              (void)task_metrics(piqa, documents, Scores{{score(-1.0), score(std::nan(""))}});
            }),
            ExitCode::kNonFinite);
  EXPECT_EQ(testing::code_of([&] { (void)task_metrics(piqa, documents, Scores{{score(-1.0)}}); }),
            ExitCode::kInternal);
  EXPECT_EQ(
      testing::code_of([&] { (void)task_metrics(find_task("gsm8k"), documents, Scores{{score(-1.0)}}); }),
      ExitCode::kInternal);
}

}  // namespace
}  // namespace orthant::models
