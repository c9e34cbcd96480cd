// Contexts as documents, and the line of contexts.jsonl that shows one latent. Without a tokenizer tokens are
// shown by number. Pure; thread-safe.
#pragma once

#include <boost/json/object.hpp>

#include "models/tokenizer/tokenizer.h"
#include "sae/measure/top_contexts.h"

namespace orthant::launch {

// Tokens, activations, peak, document and position.
[[nodiscard]] boost::json::object context_json(const sae::Context& context,
                                               const models::Tokenizer* tokenizer);

// `density`: share of the rows in which the latent fires.
[[nodiscard]] boost::json::object contexts_json(const sae::LatentContexts& found, double density,
                                                const models::Tokenizer* tokenizer);

}  // namespace orthant::launch
