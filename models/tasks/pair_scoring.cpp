#include "models/tasks/pair_scoring.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/core/error.h"

namespace orthant::models {
namespace {

constexpr int64_t kForwardTokens = 2048;
constexpr std::string_view kWhiteSpace = " \t\n\r\f\v";

// What the model reads (all ids but the last) and which of its rows are scored.
struct Request {
  std::vector<int32_t> input;
  std::vector<int32_t> continuation;
};

Request request_of(const TokenPair& pair, int64_t context_length) {
  const auto length = static_cast<int64_t>(pair.continuation.size());
  if (length > context_length) {
    throw Error(ExitCode::kData, {.problem = fmt::format("a continuation of {} tokens", length),
                                  .why = fmt::format("the model's context is {} tokens", context_length),
                                  .suggestion = "shorten it"});
  }
  std::vector<int32_t> ids = pair.context;
  ids.insert(ids.end(), pair.continuation.begin(), pair.continuation.end() - 1);
  const auto excess = static_cast<int64_t>(ids.size()) - context_length;
  if (excess > 0) ids.erase(ids.begin(), ids.begin() + excess);
  return {std::move(ids), pair.continuation};
}

// Consecutive requests with the same input, and so one forward: [first, end).
struct SharedInput {
  size_t first;
  size_t end;
  int64_t rows;  // that they score
};

// As many as score at most `most_rows` rows.
SharedInput shared_input(std::span<const Request> requests, size_t first, int64_t most_rows) {
  SharedInput shared{first, first, 0};
  while (shared.end < requests.size() && requests[shared.end].input == requests[first].input) {
    const auto rows = static_cast<int64_t>(requests[shared.end].continuation.size());
    if (shared.end > first && shared.rows + rows > most_rows) break;
    shared.rows += rows;
    ++shared.end;
  }
  return shared;
}

// Requests scored in one forward.
class ScoringBatch {
 public:
  void add(std::span<const Request> requests, SharedInput shared) {
    const int64_t begin = builder_.tokens();
    builder_.add(requests[shared.first].input);
    for (size_t r = shared.first; r < shared.end; ++r) {
      const auto scored = static_cast<int64_t>(requests[r].continuation.size());
      const int64_t first = begin + static_cast<int64_t>(requests[r].input.size()) - scored;
      for (int64_t i = 0; i < scored; ++i) rows_.push_back(first + i);
      targets_.insert(targets_.end(), requests[r].continuation.begin(), requests[r].continuation.end());
      lengths_.push_back(requests[r].continuation.size());
    }
  }
  [[nodiscard]] bool has_room_for(const Request& request, int64_t rows) const {
    return builder_.tokens() == 0 ||
           (builder_.tokens() + static_cast<int64_t>(request.input.size()) <= kForwardTokens &&
            static_cast<int64_t>(rows_.size()) + rows <= kForwardTokens);
  }
  // Scores all, appends to `scores` and begins anew.
  void run(TokenScorer& scorer, std::vector<PairScore>& scores) {
    const std::vector<TokenScore> tokens = scorer.score(builder_.batch(), rows_, targets_);
    size_t next = 0;
    for (const size_t length : lengths_) {
      PairScore pair{.tokens = static_cast<int64_t>(length)};
      for (size_t i = 0; i < length; ++i, ++next) {
        pair.log_prob += tokens[next].log_prob;
        pair.greedy = pair.greedy && tokens[next].greedy;
      }
      scores.push_back(pair);
    }
    *this = {};
  }

 private:
  BatchBuilder builder_;
  std::vector<int64_t> rows_;
  std::vector<int32_t> targets_;
  std::vector<size_t> lengths_;  // of the continuations
};

RunLimits limits_of(std::span<const Request> requests) {
  int64_t longest = 1;
  for (const Request& request : requests)
    longest = std::max(longest, static_cast<int64_t>(request.input.size()));
  const int64_t tokens = std::max(longest, kForwardTokens);
  return {.tokens = tokens, .sequences = tokens, .positions = longest};
}

}  // namespace

TokenPair encode_pair(const Tokenizer& tokenizer, std::string_view context, std::string_view continuation) {
  const size_t end = context.find_last_not_of(kWhiteSpace) + 1;
  const std::string head(context.substr(0, end));
  const std::string tail = std::string(context.substr(end)) + std::string(continuation);
  TokenPair pair{tokenizer.encode(head), tokenizer.encode(head + tail)};
  const size_t prefix = std::min(pair.context.size(), pair.continuation.size());
  pair.continuation.erase(pair.continuation.begin(),
                          pair.continuation.begin() + static_cast<int64_t>(prefix));
  const std::optional<int32_t> start = tokenizer.bos() ? tokenizer.bos() : tokenizer.eos();
  if (start && (pair.context.empty() || tokenizer.adds_bos()))
    pair.context.insert(pair.context.begin(), *start);
  if (pair.context.empty() || pair.continuation.empty()) {
    throw Error(ExitCode::kData,
                {.problem = "a pair cannot be scored",
                 .why = pair.context.empty() ? "the context has no token" : "the continuation has no token",
                 .suggestion = "both texts must be non-empty"});
  }
  return pair;
}

std::vector<PairScore> score_pairs(const Weights& weights, std::span<const TokenPair> pairs,
                                   const std::function<void(int64_t)>& progress, Memory& memory,
                                   Stream& stream) {
  std::vector<Request> requests;
  for (const TokenPair& pair : pairs) requests.push_back(request_of(pair, weights.config.context_length));
  std::vector<PairScore> scores;
  if (requests.empty()) return scores;
  const RunLimits limits = limits_of(requests);
  TokenScorer scorer(weights, limits, memory, stream);
  ScoringBatch batch;
  for (size_t first = 0; first < requests.size();) {
    const SharedInput shared = shared_input(requests, first, limits.tokens);
    if (!batch.has_room_for(requests[first], shared.rows)) {
      batch.run(scorer, scores);
      progress(static_cast<int64_t>(scores.size()));
    }
    batch.add(requests, shared);
    first = shared.end;
  }
  batch.run(scorer, scores);
  progress(static_cast<int64_t>(scores.size()));
  return scores;
}

}  // namespace orthant::models
