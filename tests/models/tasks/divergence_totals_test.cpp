#include "models/tasks/divergence_totals.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "models/text/same_tokens.h"
#include "runtime/comm/world.h"
#include "runtime/core/rng.h"
#include "tests/support/code_of.h"
#include "tests/support/letter_tokenizer.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using models::Divergence;
using models::DivergenceTotals;
using models::TokenDivergences;
using models::TokenRows;

// Rows of at most 4 tokens of documents of 6, 1, 9, 0, 4 and 3 tokens.
class DivergenceTotalsTest : public ::testing::Test {
 protected:
  DivergenceTotalsTest() {
    std::ofstream file(dir_.file("text.jsonl"));
    for (const char* text : {"abcdef", "g", "habcdefgh", "", "aaaa", "hgf"}) {
      file << "{\"text\":\"" << text << "\"}\n";
    }
  }
  [[nodiscard]] TokenRows text() const {
    return TokenRows({.path = dir_.file("text.jsonl")}, {.context = 4}, &tokenizer_);
  }
  // What a meter would give of token `token` of the text.
  static double value(int64_t token, uint32_t of) {
    return std::exp(3.0 * random_normal(9, Purpose::kTest, of, static_cast<uint64_t>(token)));
  }
  static TokenDivergences measured(const models::TokenBatch& batch, int64_t first_token) {
    TokenDivergences found{.rows = rows_with_next(batch)};
    for (const int64_t row : found.rows) {
      found.nll.push_back(value(first_token + row, 0));
      found.other_nll.push_back(value(first_token + row, 1));
      found.kl.push_back(value(first_token + row, 2));
      found.reverse_kl.push_back(value(first_token + row, 3));
      found.agree.push_back((first_token + row) % 3 == 0);
    }
    return found;
  }
  // Rows [first, end) in one batch.
  static void add(const TokenRows& text, int64_t first, int64_t end, DivergenceTotals& totals) {
    models::BatchBuilder builder;
    for (int64_t row = first; row < end; ++row) builder.add(text.row(row));
    totals.add(first, builder.batch(), measured(builder.batch(), text.first_token(first)));
  }
  testing::TempDir dir_;
  testing::LetterTokenizer tokenizer_;
};

TEST_F(DivergenceTotalsTest, AreMeansOverTokensWithErrorsOverDocuments) {
  const TokenRows text = this->text();
  DivergenceTotals totals(text, 0);
  add(text, 0, 3, totals);
  add(text, 3, text.rows(), totals);
  const Divergence found = totals.divergence();
  std::vector<double> sums, counts;
  double kl = 0.0, agree = 0.0, count = 0.0;
  int64_t open = -1;
  for (int64_t row = 0; row < text.rows(); ++row) {
    for (int64_t token = text.first_token(row); token + 1 < text.first_token(row + 1); ++token) {
      if (text.document_of(token) != open) {
        open = text.document_of(token);
        sums.push_back(0.0);
        counts.push_back(0.0);
      }
      sums.back() += value(token, 2);
      counts.back() += 1.0;
      kl += value(token, 2);
      agree += token % 3 == 0 ? 1.0 : 0.0;
      count += 1.0;
    }
  }
  // Documents of one token and of none predict nothing.
  EXPECT_EQ(found.documents, 4);
  EXPECT_EQ(found.tokens, 3 + 1 + 3 + 3 + 0 + 3 + 2);
  EXPECT_EQ(static_cast<double>(found.tokens), count);
  EXPECT_NEAR(found.kl.mean, kl / count, 1e-12 * kl);
  EXPECT_NEAR(found.agreement.mean, agree / count, 1e-12);
  double squares = 0.0;
  for (size_t d = 0; d < sums.size(); ++d) {
    squares += (sums[d] - kl / count * counts[d]) * (sums[d] - kl / count * counts[d]);
  }
  ASSERT_TRUE(found.kl.standard_error.has_value());
  EXPECT_NEAR(*found.kl.standard_error, std::sqrt(4.0 / 3.0 * squares) / count, 1e-12);
  EXPECT_NEAR(found.ce_difference.mean, found.other_ce.mean - found.ce.mean, 1e-9);
}

TEST_F(DivergenceTotalsTest, TellOfPositionsAndOfTheLargest) {
  const TokenRows text = this->text();
  DivergenceTotals totals(text, 0);
  add(text, 0, text.rows(), totals);
  const Divergence found = totals.divergence();
  // Positions 1; 2 and 3; nothing predicts from the fourth of a row.
  ASSERT_EQ(found.positions.size(), 2u);
  EXPECT_EQ(found.positions[0].from, 1);
  EXPECT_EQ(found.positions[1].to, 4);
  EXPECT_EQ(found.positions[0].tokens + found.positions[1].tokens, found.tokens);
  EXPECT_EQ(found.positions[0].tokens, 6) << "rows of two tokens and more";
  const std::vector<int64_t> largest = totals.largest(5);
  ASSERT_EQ(largest.size(), 5u);
  for (size_t i = 0; i + 1 < largest.size(); ++i) EXPECT_GE(value(largest[i], 2), value(largest[i + 1], 2));
  int64_t larger = 0;
  for (int64_t token = 0; token < text.tokens(); ++token) {
    if (!std::isnan(totals.of_tokens()[static_cast<size_t>(token) * 2])) {
      larger += value(token, 2) > value(largest.back(), 2) ? 1 : 0;
    }
  }
  EXPECT_EQ(larger, 4);
  EXPECT_EQ(totals.largest(1000).size(), static_cast<size_t>(found.tokens));
}

TEST_F(DivergenceTotalsTest, RefuseWhatIsNotFinite) {
  const TokenRows text = this->text();
  DivergenceTotals totals(text, 0);
  models::BatchBuilder builder;
  builder.add(text.row(0));
  TokenDivergences found = measured(builder.batch(), 0);
  found.reverse_kl[1] = std::numeric_limits<double>::quiet_NaN();
  totals.add(0, builder.batch(), found);
  EXPECT_EQ(testing::code_of([&] { (void)totals.divergence(); }), ExitCode::kNonFinite);
}

TEST_F(DivergenceTotalsTest, HaveTheSameBitsAtAnyNumberOfRanks) {
  const TokenRows text = this->text();
  DivergenceTotals one(text, 0);
  for (int64_t row = 0; row < text.rows(); ++row) add(text, row, row + 1, one);
  for (const int ranks : {2, 3, 4}) {
    run_thread_ranks(ranks, [&](World world) {
      DivergenceTotals totals(text, world.rank());
      const std::vector<int64_t> blocks = models::row_blocks(text, 5);
      const auto count = static_cast<int64_t>(blocks.size()) - 1;
      for (int64_t done = 0; done < count; done += world.size()) {
        std::vector<int64_t> rows;
        for (int r = 0; r <= world.size(); ++r) {
          rows.push_back(blocks[static_cast<size_t>(std::min(done + r, count))]);
        }
        const auto rank = static_cast<size_t>(world.rank());
        if (rows[rank] < rows[rank + 1]) add(text, rows[rank], rows[rank + 1], totals);
        totals.share(rows, *world.data);
      }
      const Divergence found = totals.divergence(), wanted = one.divergence();
      EXPECT_EQ(found.kl.mean, wanted.kl.mean);
      EXPECT_EQ(found.kl.standard_error, wanted.kl.standard_error);
      EXPECT_EQ(found.ce_difference.mean, wanted.ce_difference.mean);
      EXPECT_EQ(totals.largest(9), one.largest(9));
      EXPECT_EQ(found.positions[1].reverse_kl, wanted.positions[1].reverse_kl);
    });
  }
}

TEST(MeanOverDocuments, IsThatOfKnownNumbers) {
  // Ratio 14/7 = 2; excesses 0, 1 and -1: sqrt(3/2 * 2) / 7.
  const std::vector<double> sums = {4.0, 7.0, 3.0}, counts = {2.0, 3.0, 2.0};
  const models::DocumentMean found = models::mean_over_documents(sums, counts);
  EXPECT_EQ(found.mean, 2.0);
  EXPECT_NEAR(found.standard_error.value(), std::sqrt(3.0) / 7.0, 1e-15);
  const std::vector<double> alone = {6.0, 0.0}, of_alone = {3.0, 0.0};
  EXPECT_EQ(models::mean_over_documents(alone, of_alone).mean, 2.0);
  EXPECT_FALSE(models::mean_over_documents(alone, of_alone).standard_error.has_value());
  EXPECT_EQ(models::mean_over_documents({}, {}).mean, 0.0);
}

}  // namespace
}  // namespace orthant
