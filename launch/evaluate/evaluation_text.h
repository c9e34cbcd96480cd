// The token sequences on which the loss of a language model is compared: those of held-out documents, from a
// store's own tokens or from a text. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/tokenizer/tokenizer.h"
#include "runtime/core/log.h"
#include "runtime/job/config.pb.h"

namespace orthant::launch {

struct EvaluationText {
  std::vector<std::vector<int32_t>> sequences;  // of two tokens at least
  bool held_out = true;  // false: no whole sequence belongs to held-out documents, so all were taken
};

// The first sequences that hold `tokens` tokens (0: all; at least one sequence) of the store's held-out
// documents. A sequence is a row of the language model that was harvested.
[[nodiscard]] EvaluationText text_of_store(const std::string& path, double holdout, int64_t tokens);
// The same of the text at `path`, cut into rows as `source` says (context, text_field, text_split, bos).
// Warns where ill-formed UTF-8 was replaced.
[[nodiscard]] EvaluationText text_of_file(const std::string& path, const Source& source,
                                          const models::Tokenizer& tokenizer, int64_t tokens, Log& log);

// How one token reads, the space in front of it included, as UTF-8.
[[nodiscard]] std::string token_text(const models::Tokenizer& tokenizer, int32_t token_id);

}  // namespace orthant::launch
