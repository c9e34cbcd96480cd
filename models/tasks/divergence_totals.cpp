#include "models/tasks/divergence_totals.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "runtime/core/error.h"

namespace orthant::models {
namespace {

// Sums of one row of the text.
enum RowSum : size_t { kTokens, kNll, kOtherNll, kKl, kReverseKl, kAgree, kSums };

constexpr float kNoNext = std::numeric_limits<float>::quiet_NaN();

}  // namespace

DocumentMean mean_over_documents(std::span<const double> sums, std::span<const double> counts) {
  double sum = 0.0, count = 0.0, squares = 0.0;
  int64_t documents = 0;
  for (size_t d = 0; d < sums.size(); ++d) {
    sum += sums[d];
    count += counts[d];
    documents += counts[d] > 0.0 ? 1 : 0;
  }
  if (count == 0.0) return {};
  DocumentMean found{.mean = sum / count};
  if (documents < 2) return found;
  for (size_t d = 0; d < sums.size(); ++d) {
    const double excess = sums[d] - found.mean * counts[d];
    squares += excess * excess;
  }
  const double drawn = static_cast<double>(documents);
  found.standard_error = std::sqrt(drawn / (drawn - 1.0) * squares) / count;
  return found;
}

DivergenceTotals::DivergenceTotals(const TokenRows& text, int rank)
    : text_(&text),
      writes_(rank == 0),
      rows_(static_cast<size_t>(text.rows()) * kSums, 0.0),
      tokens_(static_cast<size_t>(text.tokens()) * 2, kNoNext) {}

void DivergenceTotals::add(int64_t first_row, const TokenBatch& batch, const TokenDivergences& found) {
  size_t sequence = 0;
  for (size_t i = 0; i < found.rows.size(); ++i) {
    const int64_t row = found.rows[i];
    while (row >= batch.offsets[sequence + 1]) ++sequence;
    double* const sums = rows_.data() + (static_cast<size_t>(first_row) + sequence) * kSums;
    sums[kTokens] += 1.0;
    sums[kNll] += found.nll[i];
    sums[kOtherNll] += found.other_nll[i];
    sums[kKl] += found.kl[i];
    sums[kReverseKl] += found.reverse_kl[i];
    sums[kAgree] += found.agree[i] ? 1.0 : 0.0;
    float* const token = tokens_.data() + 2 * static_cast<size_t>(text_->first_token(first_row) + row);
    token[0] = static_cast<float>(found.kl[i]);
    token[1] = static_cast<float>(found.reverse_kl[i]);
  }
}

void DivergenceTotals::share(std::span<const int64_t> rows, Communicator& ranks) {
  if (ranks.size() == 1) return;
  std::vector<int64_t> sums, values;
  for (size_t r = 0; r + 1 < rows.size(); ++r) {
    sums.push_back((rows[r + 1] - rows[r]) * static_cast<int64_t>(kSums));
    values.push_back((text_->first_token(rows[r + 1]) - text_->first_token(rows[r])) * 2);
  }
  const int64_t own_row = rows[static_cast<size_t>(ranks.rank())];
  Stream stream;
  ranks.all_gather_uneven(rows_.data() + own_row * static_cast<int64_t>(kSums),
                          rows_.data() + rows[0] * static_cast<int64_t>(kSums), sums, Dtype::kF64, stream);
  ranks.all_gather_uneven(tokens_.data() + 2 * text_->first_token(own_row),
                          tokens_.data() + 2 * text_->first_token(rows[0]), values, Dtype::kF32, stream);
}

DocumentMean DivergenceTotals::mean_of(size_t sum, std::optional<size_t> less) const {
  std::vector<double> sums, counts;
  int64_t open = -1;  // documents have their rows one after another
  for (int64_t row = 0; row < text_->rows(); ++row) {
    const int64_t document = text_->document_of(text_->first_token(row));
    if (document != open) {
      sums.push_back(0.0);
      counts.push_back(0.0);
      open = document;
    }
    const double* const found = rows_.data() + static_cast<size_t>(row) * kSums;
    sums.back() += found[sum] - (less ? found[*less] : 0.0);
    counts.back() += found[kTokens];
  }
  return mean_over_documents(sums, counts);
}

std::vector<PositionDivergence> DivergenceTotals::by_position() const {
  std::vector<PositionDivergence> found;
  for (int64_t row = 0; row < text_->rows(); ++row) {
    const int64_t first = text_->first_token(row);
    for (int64_t token = first; token + 1 < text_->first_token(row + 1); ++token) {
      const auto from = std::bit_floor(static_cast<uint64_t>(token - first + 1));
      const auto place = static_cast<size_t>(std::countr_zero(from));
      while (found.size() <= place) {
        const auto start = int64_t{1} << found.size();
        found.push_back({.from = start, .to = 2 * start});
      }
      found[place].tokens += 1;
      found[place].kl += tokens_[static_cast<size_t>(token) * 2];
      found[place].reverse_kl += tokens_[static_cast<size_t>(token) * 2 + 1];
    }
  }
  for (PositionDivergence& each : found) {
    each.kl /= static_cast<double>(std::max<int64_t>(each.tokens, 1));
    each.reverse_kl /= static_cast<double>(std::max<int64_t>(each.tokens, 1));
  }
  return found;
}

Divergence DivergenceTotals::divergence() const {
  Divergence found;
  int64_t open = -1;
  for (int64_t row = 0; row < text_->rows(); ++row) {
    const double tokens = rows_[static_cast<size_t>(row) * kSums + kTokens];
    const int64_t document = text_->document_of(text_->first_token(row));
    if (tokens > 0.0 && document != open) {
      ++found.documents;
      open = document;
    }
    found.tokens += static_cast<int64_t>(tokens);
  }
  found.ce = mean_of(kNll);
  found.other_ce = mean_of(kOtherNll);
  found.ce_difference = mean_of(kOtherNll, kNll);
  found.kl = mean_of(kKl);
  found.reverse_kl = mean_of(kReverseKl);
  found.agreement = mean_of(kAgree);
  if (!std::isfinite(found.kl.mean) || !std::isfinite(found.reverse_kl.mean)) {
    throw Error(ExitCode::kNonFinite, {.problem = "the divergence of the models is not finite",
                                       .why = "a model gave predictions that are not",
                                       .suggestion = "Look at both with orthant lm perplexity."});
  }
  found.positions = by_position();
  return found;
}

std::vector<int64_t> DivergenceTotals::largest(int64_t count) const {
  std::vector<int64_t> tokens;
  for (int64_t token = 0; token < text_->tokens(); ++token) {
    if (!std::isnan(tokens_[static_cast<size_t>(token) * 2])) tokens.push_back(token);
  }
  const auto end = tokens.begin() + std::min<int64_t>(count, static_cast<int64_t>(tokens.size()));
  std::partial_sort(tokens.begin(), end, tokens.end(), [&](int64_t a, int64_t b) {
    const float x = tokens_[static_cast<size_t>(a) * 2], y = tokens_[static_cast<size_t>(b) * 2];
    return x != y ? x > y : a < b;
  });
  tokens.erase(end, tokens.end());
  return tokens;
}

std::vector<TensorSlice> DivergenceTotals::state() {
  return {{.name = "row_sums",
           .dtype = Dtype::kF64,
           .shape = {text_->rows(), static_cast<int64_t>(kSums)},
           .rows = text_->rows(),
           .data = rows_.data(),
           .writes = writes_},
          {.name = "token_divergences",
           .dtype = Dtype::kF32,
           .shape = {text_->tokens(), 2},
           .rows = text_->tokens(),
           .data = tokens_.data(),
           .writes = writes_}};
}

}  // namespace orthant::models
