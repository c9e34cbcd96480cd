// The line of contexts.jsonl that shows one latent. Pure; thread-safe.
#pragma once

#include <boost/json/object.hpp>

#include "models/tokenizer/tokenizer.h"
#include "sae/measure/top_contexts.h"

namespace orthant::launch {

// `density`: share of the rows in which the latent fires. Without a tokenizer tokens are shown by number.
[[nodiscard]] boost::json::object contexts_json(const sae::LatentContexts& found, double density,
                                                const models::Tokenizer* tokenizer);

}  // namespace orthant::launch
