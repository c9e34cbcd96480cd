#include "models/tasks/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "models/tasks/token_scores.h"
#include "runtime/core/error.h"
#include "runtime/core/rng.h"
#include "runtime/device/host_copy.h"

namespace orthant::models {
namespace {

[[noreturn]] void throw_config(const std::string& problem, const std::string& why,
                               const std::string& suggestion) {
  throw Error(ExitCode::kConfig, {.problem = problem, .why = why, .suggestion = suggestion});
}

void check(const ModelConfig& config, std::span<const std::vector<int32_t>> prompts,
           const GenerationOptions& options) {
  if (!(options.temperature >= 0.0))
    throw_config("the temperature is negative", "0 is greedy", "use 0 or more");
  for (const auto& prompt : prompts) {
    if (prompt.empty())
      throw_config("the prompt is empty", "there is nothing to continue", "give a longer prompt");
    if (static_cast<int64_t>(prompt.size()) >= config.context_length) {
      throw_config(fmt::format("the prompt has {} tokens", prompt.size()),
                   fmt::format("the model's context is {}", config.context_length), "shorten the prompt");
    }
  }
}

int32_t largest_logit(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

// Inverse of the cumulative distribution at `draw` in [0, 1).
int32_t sample(std::span<const float> logits, double temperature, double draw) {
  const double top = logits[static_cast<size_t>(largest_logit(logits))];
  const auto weight = [&](float logit) { return std::exp((static_cast<double>(logit) - top) / temperature); };
  double total = 0.0;
  for (const float logit : logits) total += weight(logit);
  double left = draw * total;
  for (size_t v = 0; v < logits.size(); ++v) {
    left -= weight(logits[v]);
    if (left < 0.0) return static_cast<int32_t>(v);
  }
  return largest_logit(logits);
}

// The growing continuations of a batch, slot s of the cache for prompt s.
class Decoder {
 public:
  Decoder(const Weights& weights, std::span<const std::vector<int32_t>> prompts,
          const GenerationOptions& options, Memory& memory, Stream& stream)
      : weights_(weights),
        prompts_(prompts),
        options_(options),
        stream_(stream),
        capacities_(capacities(weights.config, prompts, options)),
        cache_(memory, weights.config, weights.config.layers, total(capacities_), slots()),
        state_(memory, weights, limits()),
        logits_(memory, "logits", {1, weights.config.vocabulary}),
        host_logits_(memory.device(), logits_.view().bytes()),
        continuations_(prompts.size()) {
    cache_.assign(capacities_);
    if (options.pruning != nullptr)
      pruning_state_.emplace(memory, weights.config, state_.limits, *options.pruning);
    if (options.decode_weights != nullptr) decode_state_.emplace(memory, weights.config);
  }

  std::vector<std::vector<int32_t>> run() {
    BatchBuilder batch;
    for (const auto& prompt : prompts_) batch.add(prompt);
    batch = after(batch.batch());
    Stopwatch unread;
    const Stopwatch::Scope scope(options_.decoding != nullptr ? *options_.decoding : unread);
    while (batch.tokens() > 0) batch = after(batch.batch());
    return std::move(continuations_);
  }

 private:
  // The batch that follows this one.
  BatchBuilder after(const TokenBatch& batch) {
    const std::vector<int64_t> last = last_rows(batch);
    const auto hidden = forward(weights_,
                                {.batch = batch,
                                 .edits = options_.edits,
                                 .logit_rows = last,
                                 .cache = &cache_,
                                 .pruning = options_.pruning,
                                 .pruning_state = pruning_state_ ? &*pruning_state_ : nullptr,
                                 .decode_weights = options_.decode_weights,
                                 .decode_state = decode_state_ ? &*decode_state_ : nullptr},
                                state_, stream_);
    return choose_next(batch, hidden);
  }
  static std::vector<int64_t> capacities(const ModelConfig& config,
                                         std::span<const std::vector<int32_t>> prompts,
                                         const GenerationOptions& options) {
    std::vector<int64_t> result;
    for (const auto& prompt : prompts) {
      result.push_back(
          std::min(static_cast<int64_t>(prompt.size()) + options.max_new_tokens, config.context_length));
    }
    return result;
  }
  static int64_t total(std::span<const int64_t> values) {
    int64_t sum = 0;
    for (const int64_t value : values) sum += value;
    return sum;
  }
  [[nodiscard]] int64_t slots() const { return static_cast<int64_t>(prompts_.size()); }
  [[nodiscard]] RunLimits limits() const {
    RunLimits limits{.tokens = 0, .sequences = 1, .positions = 0};
    for (const auto& prompt : prompts_) limits.tokens += static_cast<int64_t>(prompt.size());
    for (const int64_t capacity : capacities_) limits.positions = std::max(limits.positions, capacity);
    return limits;
  }
  // The last row of every sequence that has new rows.
  static std::vector<int64_t> last_rows(const TokenBatch& batch) {
    std::vector<int64_t> rows;
    for (size_t s = 0; s + 1 < batch.offsets.size(); ++s) {
      if (batch.offsets[s + 1] > batch.offsets[s]) rows.push_back(batch.offsets[s + 1] - 1);
    }
    return rows;
  }
  // Appends a token to every sequence that ran and returns those that go on; the others have no rows any
  // more.
  BatchBuilder choose_next(const TokenBatch& batch, Matrix<const float> hidden) {
    BatchBuilder next;
    int64_t row = 0;
    for (size_t s = 0; s < prompts_.size(); ++s) {
      const bool ran = batch.offsets[s + 1] > batch.offsets[s];
      const bool goes_on = ran && extend(s, hidden.rows(row++, 1));
      const std::span<const int32_t> all = continuations_[s];
      next.add(goes_on ? all.last(1) : all.first(0));
    }
    return next;
  }
  // False when the continuation is complete.
  bool extend(size_t s, Matrix<const float> hidden) {
    std::vector<int32_t>& continuation = continuations_[s];
    const auto count = static_cast<int64_t>(continuation.size());
    const int64_t length = static_cast<int64_t>(prompts_[s].size()) + count;
    if (count == options_.max_new_tokens || length == weights_.config.context_length) return false;
    project_logits(weights_, hidden, logits_.view(), state_, stream_);
    const std::span<const float> logits = host_logits_.of(logits_.view(), stream_).span();
    const int32_t token =
        options_.temperature == 0.0
            ? largest_logit(logits)
            : sample(logits, options_.temperature,
                     random_uniform(options_.seed, Purpose::kGeneration, static_cast<uint32_t>(s),
                                    static_cast<uint64_t>(length)));
    continuation.push_back(token);
    return token != options_.stop && count + 1 < options_.max_new_tokens &&
           length + 1 < weights_.config.context_length;
  }

  const Weights& weights_;
  std::span<const std::vector<int32_t>> prompts_;
  const GenerationOptions& options_;
  Stream& stream_;
  std::vector<int64_t> capacities_;
  KvCache cache_;
  RunState state_;
  std::optional<PruningState> pruning_state_;
  std::optional<DecodeState> decode_state_;
  Tensor<float, 2> logits_;  // [1, vocabulary]
  HostCopy host_logits_;
  std::vector<std::vector<int32_t>> continuations_;
};

}  // namespace

std::vector<std::vector<int32_t>> generate(const Weights& weights,
                                           std::span<const std::vector<int32_t>> prompts,
                                           const GenerationOptions& options, Memory& memory, Stream& stream) {
  check(weights.config, prompts, options);
  if (prompts.empty() || options.max_new_tokens <= 0)
    return std::vector<std::vector<int32_t>>(prompts.size());
  return Decoder(weights, prompts, options, memory, stream).run();
}

}  // namespace orthant::models
