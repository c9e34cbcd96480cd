// What a scoring job reads, from its configuration. Not Collective.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "launch/config.pb.h"
#include "models/text/token_rows.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/core/log.h"
#include "sae/scoring/windows.h"

namespace orthant::launch {

// Every token of the text or of the store, in its order. Throws Error(kConfig) for both and for neither.
[[nodiscard]] Source score_source(const Score& config);
// The rows that the model runs over: the text, and behind it the one that it is compared with.
struct ScoreText {
  models::TokenRows rows;
  int64_t scored_rows = 0;  // tokens of the text
};
// Warns where ill-formed UTF-8 was replaced. Throws what TokenRows throws.
[[nodiscard]] ScoreText score_text(const Score& config, const models::Tokenizer& tokenizer, Log& log);
// The windows of the preset, where the configuration gives no others.
[[nodiscard]] sae::WindowOptions score_window(const Score& config);
// Tokens that count nowhere, ascending: those given, or BOS and EOS of the model.
[[nodiscard]] std::vector<int32_t> special_ids(const Score& config, const models::Tokenizer& tokenizer);

// The hook points of the dictionary (`metadata` of its file) and of the activations. Empty where not told.
struct ScoredHooks {
  std::string of_dictionary;
  std::string of_activations;
  [[nodiscard]] bool differ() const {
    return !of_dictionary.empty() && !of_activations.empty() && of_dictionary != of_activations;
  }
};
[[nodiscard]] ScoredHooks scored_hooks(const Score& config,
                                       const std::map<std::string, std::string>& metadata);

}  // namespace orthant::launch
