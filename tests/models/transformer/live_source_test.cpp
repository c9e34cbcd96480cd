#include "models/transformer/live_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

#include "models/transformer/forward.h"
#include "tests/support/letter_tokenizer.h"
#include "tests/support/memory_model.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using models::HookPoint;
using models::HookSite;
using models::LiveSource;

constexpr HookPoint kHook{1, HookSite::kResidPost};

class LiveSourceTest : public ::testing::Test {
 protected:
  LiveSourceTest() {
    std::ofstream file(dir.file("text.txt"));
    for (int i = 0; i < 9000; ++i) {
      file << static_cast<char>('a' + (i * i + i / 7) % 8);
      if (i % 61 == 60) file << "\n\n";
    }
  }
  [[nodiscard]] models::TokenRows text() const {
    return {{.path = dir.file("text.txt"), .field = "", .split = models::TextSplit::kParagraph},
            {.context = 16},
            &tokenizer};
  }
  [[nodiscard]] std::unique_ptr<LiveSource> open(const models::LiveSourceOptions& options) {
    models::LanguageModel loaded{models::load_weights(model, {.blocks = 2, .head = false}, memory, stream),
                                 std::make_unique<testing::LetterTokenizer>(), "memory", "memory"};
    return std::make_unique<LiveSource>(std::move(loaded), text(), kHook, options, memory, memory);
  }
  struct Rows {
    std::vector<float> values;
    RowLabels labels;
  };
  static Rows read(LiveSource& source, Split split, int64_t first, int64_t count) {
    Rows rows{std::vector<float>(static_cast<size_t>(count * 24)), {}};
    source.read(split, first, {rows.values.data(), {count, 24}}, &rows.labels);
    return rows;
  }
  testing::TempDir dir;
  testing::LetterTokenizer tokenizer;
  testing::MemoryModel model{testing::varied_config()};
  Memory memory;
  Stream stream;
};

TEST_F(LiveSourceTest, GivesTheForwardInTextOrderWithoutShuffling) {
  const auto source = open({.filter = {}, .shuffle = false, .seed = 0, .window_rows = 3000});
  const models::TokenRows rows = text();
  ASSERT_EQ(source->rows(Split::kTrain), rows.tokens());
  const Rows all = read(*source, Split::kTrain, 0, rows.tokens());
  const models::Weights weights = models::load_weights(model, {}, memory, stream);
  models::RunState state(memory, weights, {16, 1, 16});
  for (int64_t row = 0; row < rows.rows(); row += 37) {
    const auto ids = rows.row(row);
    const std::vector<int64_t> offsets = {0, static_cast<int64_t>(ids.size())};
    std::vector<float> expected(ids.size() * 24);
    const models::Tap tap{kHook, {expected.data(), {static_cast<int64_t>(ids.size()), 24}}};
    (void)models::forward(weights, {.batch = {ids, offsets}, .taps = {&tap, 1}}, state, stream);
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(all.values[static_cast<size_t>(rows.first_token(row) * 24) + i], expected[i]);
    }
    EXPECT_EQ(all.labels.positions[static_cast<size_t>(rows.first_token(row))], 0);
  }
}

TEST_F(LiveSourceTest, ReadsOfWholeRowsRunTheModelOverEachTokenOnce) {
  const auto source = open({.filter = {}, .shuffle = false, .seed = 0, .window_rows = 3000});
  const models::TokenRows rows = text();
  const Rows all = read(*source, Split::kTrain, 0, rows.tokens());
  const int64_t before = source->model_tokens();
  for (int64_t row = 0; row < rows.rows(); row += 10) {
    const int64_t first = rows.first_token(row);
    const int64_t count = rows.first_token(std::min(row + 10, rows.rows())) - first;
    const Rows part = read(*source, Split::kTrain, first, count);
    ASSERT_TRUE(std::equal(part.values.begin(), part.values.end(), all.values.begin() + first * 24));
    RowLabels labels;
    source->read_labels(Split::kTrain, first, count, labels);
    EXPECT_EQ(labels.token_ids, part.labels.token_ids);
    EXPECT_EQ(labels.positions, part.labels.positions);
    EXPECT_EQ(labels.documents, part.labels.documents);
  }
  EXPECT_EQ(source->model_tokens() - before, rows.tokens());
}

TEST_F(LiveSourceTest, LabelsAloneAreThoseBesideTheRowsWhereSomeAreLeftOut) {
  models::LiveSourceOptions options{.filter = {}, .shuffle = false, .seed = 0, .window_rows = 3000};
  options.filter.positions = {0};
  options.filter.holdout = 0.3;
  const auto source = open(options);
  for (const Split split : {Split::kTrain, Split::kHoldout}) {
    const Rows part = read(*source, split, 100, 300);
    RowLabels labels;
    source->read_labels(split, 100, 300, labels);
    EXPECT_EQ(labels.token_ids, part.labels.token_ids);
    EXPECT_EQ(labels.positions, part.labels.positions);
    EXPECT_EQ(labels.documents, part.labels.documents);
  }
}

TEST_F(LiveSourceTest, DividesEveryTokenOnceAndKeepsHeldOutDocumentsApart) {
  models::LiveSourceOptions options{.filter = {}, .shuffle = true, .seed = 3, .window_rows = 3000};
  options.filter = {.token_ids = {5}, .positions = {0}, .norm_ratio = 0, .holdout = 0.2};
  const auto source = open(options);
  const int64_t train = source->rows(Split::kTrain), holdout = source->rows(Split::kHoldout);
  EXPECT_GT(holdout, 0);
  const ExcludedRows excluded = source->excluded();
  EXPECT_EQ(train + holdout + excluded.token_ids + excluded.positions, text().tokens());
  const Rows trained = read(*source, Split::kTrain, 0, train),
             held = read(*source, Split::kHoldout, 0, holdout);
  std::map<int64_t, int> split_of;
  for (const int64_t document : trained.labels.documents) split_of[document] |= 1;
  for (const int64_t document : held.labels.documents) split_of[document] |= 2;
  for (const auto& [document, splits] : split_of) EXPECT_NE(splits, 3) << document;
  for (const Rows* rows : {&trained, &held}) {
    EXPECT_EQ(std::count(rows->labels.token_ids.begin(), rows->labels.token_ids.end(), 5), 0);
    EXPECT_EQ(std::count(rows->labels.positions.begin(), rows->labels.positions.end(), 0), 0);
  }
  EXPECT_TRUE(std::is_sorted(held.labels.documents.begin(), held.labels.documents.end()));
  EXPECT_FALSE(std::is_sorted(trained.labels.documents.begin(), trained.labels.documents.end()));
}

TEST_F(LiveSourceTest, ASampleIsAFunctionOfItsNumber) {
  const models::LiveSourceOptions options{.filter = {}, .shuffle = true, .seed = 5, .window_rows = 3000};
  const auto source = open(options), other = open(options);
  const int64_t rows = source->rows(Split::kTrain);
  const Rows whole = read(*source, Split::kTrain, 0, rows + 50);
  for (const int64_t first : {rows - 10, int64_t{0}, int64_t{4000}, rows + 5}) {
    const Rows part = read(*other, Split::kTrain, first, 40);
    for (size_t i = 0; i < part.values.size(); ++i) {
      ASSERT_EQ(part.values[i], whole.values[static_cast<size_t>(first * 24) + i]) << first;
    }
  }
  EXPECT_EQ(source->identity(), other->identity());
  EXPECT_NE(open({.filter = {}, .shuffle = true, .seed = 6, .window_rows = 3000})->identity(),
            source->identity());
}

TEST_F(LiveSourceTest, RowsOfLargeNormAreReplacedWithinTheirWindow) {
  models::LiveSourceOptions options{.filter = {}, .shuffle = true, .seed = 5, .window_rows = 3000};
  options.filter.norm_ratio = 1.1;
  const auto source = open(options);
  const int64_t rows = source->rows(Split::kTrain);
  EXPECT_EQ(rows, text().tokens());
  const Rows all = read(*source, Split::kTrain, 0, rows);
  EXPECT_GT(source->median_norm(), 0.0);
  for (int64_t row = 0; row < rows; ++row) {
    double squares = 0.0;
    for (size_t i = 0; i < 24; ++i) squares += std::pow(all.values[static_cast<size_t>(row) * 24 + i], 2);
    ASSERT_LE(std::sqrt(squares), 1.1 * source->median_norm() * (1.0 + 1e-5));
  }
  const int64_t left_out = source->excluded().norm_ratio;
  EXPECT_GT(left_out, 0);
  (void)read(*source, Split::kTrain, 0, rows);
  EXPECT_EQ(source->excluded().norm_ratio, left_out);
}

TEST_F(LiveSourceTest, SaysWhenNoRowIsLeft) {
  models::LiveSourceOptions options{.filter = {}, .shuffle = true, .seed = 5, .window_rows = 3000};
  options.filter.norm_ratio = 1e-6;
  const auto source = open(options);
  EXPECT_THROW((void)read(*source, Split::kTrain, 0, 1), Error);
}

TEST(OpenLiveSource, NeedsModelTextAndHook) {
  Source config;
  config.set_model("m.gguf");
  Memory memory;
  try {
    Log log;
    (void)models::open_live_source(config, 0, memory, memory, log);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
  }
}

}  // namespace
}  // namespace orthant
