// What two language models differ by over a text: means with their standard errors over documents, by
// position, and the tokens where they differ most.
//
// A row belongs to the document that it begins in. Every row is summed by the rank that ran it and kept as it
// is, and the totals are formed from
// all rows in their order, so they have the same bits at any number of ranks. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "models/tasks/model_divergence.h"
#include "models/text/token_rows.h"
#include "runtime/comm/communicator.h"
#include "runtime/job/checkpointable.h"

namespace orthant::models {

// A mean over tokens. Its standard error takes documents as what is drawn, since tokens of one document hang
// together: of the ratio of sums, sqrt(D / (D - 1) * sum over d of (sum_d - mean * count_d)^2) / count. None
// of fewer than two documents.
struct DocumentMean {
  double mean = 0.0;
  std::optional<double> standard_error = {};
};

// `sums`, `counts` [documents]; documents without tokens count for nothing.
[[nodiscard]] DocumentMean mean_over_documents(std::span<const double> sums, std::span<const double> counts);

// Tokens at positions [from, to) of their rows.
struct PositionDivergence {
  int64_t from = 0;
  int64_t to = 0;
  int64_t tokens = 0;
  double kl = 0.0;
  double reverse_kl = 0.0;
};

struct Divergence {
  int64_t documents = 0;  // with tokens that predict a next one
  int64_t tokens = 0;     // that predict a next one
  DocumentMean ce;        // of the first model, nats a token
  DocumentMean other_ce;
  DocumentMean ce_difference;  // the other's less the first's, token by token
  DocumentMean kl;             // KL(p || q), p of the first model
  DocumentMean reverse_kl;     // KL(q || p)
  DocumentMean agreement;      // share of tokens where both find the same next one most probable
  std::vector<PositionDivergence> positions = {};  // [1, 2), [2, 4), [4, 8), ... counted from 1
};

class DivergenceTotals : public Checkpointable {
 public:
  // `text` outlives the object. `rank`: the one that writes is 0.
  DivergenceTotals(const TokenRows& text, int rank);

  // Local. What rows [first_row, ...) of the text gave in one batch.
  void add(int64_t first_row, const TokenBatch& batch, const TokenDivergences& found);
  // Collective. Rank r added the rows from rows[r] to rows[r + 1]; all ranks have them from now on.
  void share(std::span<const int64_t> rows, Communicator& ranks);

  // After share() of all rows. Throws Error(kNonFinite) where a divergence is not finite.
  [[nodiscard]] Divergence divergence() const;
  // KL(p || q) and KL(q || p) of each token of the text [tokens, 2]; NaN where a row ends.
  [[nodiscard]] std::span<const float> of_tokens() const { return tokens_; }
  // The `count` tokens with the largest KL(p || q), the first of equals first.
  [[nodiscard]] std::vector<int64_t> largest(int64_t count) const;

  [[nodiscard]] std::vector<TensorSlice> state() override;

 private:
  [[nodiscard]] DocumentMean mean_of(size_t sum, std::optional<size_t> less = {}) const;
  [[nodiscard]] std::vector<PositionDivergence> by_position() const;

  const TokenRows* text_;
  bool writes_;
  std::vector<double> rows_;   // [rows, sums]
  std::vector<float> tokens_;  // [tokens, 2]
};

}  // namespace orthant::models
