#include "models/tasks/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/tasks/token_scores.h"
#include "runtime/core/error.h"
#include "runtime/core/rng.h"
#include "runtime/device/host_copy.h"

namespace orthant::models {
namespace {

// Rows of a forward in which prompts begin, where none is longer.
constexpr int64_t kForwardTokens = 2048;

[[noreturn]] void throw_config(const std::string& problem, const std::string& why,
                               const std::string& suggestion) {
  throw Error(ExitCode::kConfig, {.problem = problem, .why = why, .suggestion = suggestion});
}

void check(const ModelConfig& config, std::span<const std::vector<int32_t>> prompts,
           const GenerationOptions& options) {
  require(options.together >= 0, "a number of prompts is continued together");
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

// Prompts whose continuations grow together, each in a slot of the cache; a free slot takes the next prompt.
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
        state_(memory, weights, limits(prompts, capacities_)),
        logits_(memory, "logits", {slots(), weights.config.vocabulary}),
        host_logits_(memory.device(), logits_.view().bytes()),
        prompt_of_(capacities_.size()),
        continuations_(prompts.size()) {
    cache_.assign(capacities_);
    if (options.pruning != nullptr)
      pruning_state_.emplace(memory, weights.config, state_.limits, *options.pruning);
    if (options.decode_weights != nullptr) decode_state_.emplace(memory, weights.config);
  }

  std::vector<std::vector<int32_t>> run() {
    step();
    Stopwatch unread;
    const Stopwatch::Scope scope(options_.decoding != nullptr ? *options_.decoding : unread);
    while (complete_ < static_cast<int64_t>(prompts_.size())) step();
    return std::move(continuations_);
  }

 private:
  // Of the slots. A slot that serves several prompts has room for each of them.
  static std::vector<int64_t> capacities(const ModelConfig& config,
                                         std::span<const std::vector<int32_t>> prompts,
                                         const GenerationOptions& options) {
    std::vector<int64_t> result;
    for (const auto& prompt : prompts) {
      result.push_back(
          std::min(static_cast<int64_t>(prompt.size()) + options.max_new_tokens, config.context_length));
    }
    const auto together = static_cast<size_t>(options.together);
    if (together == 0 || together >= prompts.size()) return result;
    return std::vector<int64_t>(together, *std::ranges::max_element(result));
  }
  static int64_t total(std::span<const int64_t> values) {
    return std::accumulate(values.begin(), values.end(), int64_t{0});
  }
  static RunLimits limits(std::span<const std::vector<int32_t>> prompts,
                          std::span<const int64_t> capacities) {
    int64_t rows = 0, longest = 0;
    for (const auto& prompt : prompts) {
      rows += static_cast<int64_t>(prompt.size());
      longest = std::max(longest, static_cast<int64_t>(prompt.size()));
    }
    const auto slots = static_cast<int64_t>(capacities.size());
    return {.tokens = std::max({std::min(rows, kForwardTokens), longest, slots}) + slots,
            .sequences = slots,
            .positions = *std::ranges::max_element(capacities)};
  }
  [[nodiscard]] int64_t slots() const { return static_cast<int64_t>(capacities_.size()); }

  // One forward of all slots and a token for each of them.
  void step() {
    const BatchBuilder rows = next_rows();
    const TokenBatch batch = rows.batch();
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
    const Matrix<float> logits = logits_.view().rows(0, hidden.shape[0]);
    project_logits(weights_, hidden, logits, state_, stream_);
    const Matrix<const float> found = host_logits_.of(Matrix<const float>(logits), stream_);
    int64_t row = 0;
    for (size_t slot = 0; slot < prompt_of_.size(); ++slot) {
      if (batch.rows_of(static_cast<int64_t>(slot)) > 0) extend(slot, found.row(row++));
    }
    options_.progress(complete_);
  }

  // A row for each prompt in a slot, and the next prompts whole in free slots, as long as there is room for
  // rows.
  BatchBuilder next_rows() {
    BatchBuilder rows;
    int64_t room = state_.limits.tokens - slots();
    for (size_t slot = 0; slot < prompt_of_.size(); ++slot) {
      if (prompt_of_[slot]) {
        rows.add(std::span<const int32_t>(continuations_[*prompt_of_[slot]]).last(1));
        continue;
      }
      const bool begins = next_ < prompts_.size() && static_cast<int64_t>(prompts_[next_].size()) <= room;
      rows.add(begins ? std::span<const int32_t>(prompts_[next_]) : std::span<const int32_t>());
      if (!begins) continue;
      room -= static_cast<int64_t>(prompts_[next_].size());
      cache_.forget(static_cast<int64_t>(slot));
      prompt_of_[slot] = next_++;
    }
    return rows;
  }

  // The last row of every slot that has rows.
  static std::vector<int64_t> last_rows(const TokenBatch& batch) {
    std::vector<int64_t> rows;
    for (int64_t s = 0; s < batch.sequences(); ++s) {
      if (batch.rows_of(s) > 0) rows.push_back(batch.offsets[static_cast<size_t>(s) + 1] - 1);
    }
    return rows;
  }

  // Adds a token to the continuation in the slot, which becomes free where that is complete.
  void extend(size_t slot, const float* logits) {
    const size_t prompt = *prompt_of_[slot];
    std::vector<int32_t>& continuation = continuations_[prompt];
    const auto length = static_cast<int64_t>(prompts_[prompt].size() + continuation.size());
    continuation.push_back(chosen({logits, static_cast<size_t>(weights_.config.vocabulary)}, prompt, length));
    const bool goes_on = std::ranges::count(options_.stops, continuation.back()) == 0 &&
                         static_cast<int64_t>(continuation.size()) < options_.max_new_tokens &&
                         length + 1 < weights_.config.context_length &&
                         !(options_.is_complete && options_.is_complete(continuation));
    if (goes_on) return;
    prompt_of_[slot].reset();
    ++complete_;
  }
  [[nodiscard]] int32_t chosen(std::span<const float> logits, size_t prompt, int64_t length) const {
    if (options_.temperature == 0.0) return largest_logit(logits);
    return sample(logits, options_.temperature,
                  random_uniform(options_.seed, Purpose::kGeneration, static_cast<uint32_t>(prompt),
                                 static_cast<uint64_t>(length)));
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
  Tensor<float, 2> logits_;  // [slots, vocabulary]
  HostCopy host_logits_;
  std::vector<std::optional<size_t>> prompt_of_;  // [slots]
  size_t next_ = 0;                               // prompt without a slot yet
  int64_t complete_ = 0;
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
