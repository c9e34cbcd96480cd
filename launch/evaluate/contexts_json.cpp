#include "launch/evaluate/contexts_json.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/value_from.hpp>

#include "launch/evaluate/evaluation_text.h"

namespace orthant::launch {

namespace json = boost::json;

json::object context_json(const sae::Context& context, const models::Tokenizer* tokenizer) {
  json::array tokens;
  for (const int32_t id : context.token_ids) {
    tokens.emplace_back(tokenizer != nullptr ? token_text(*tokenizer, id) : fmt::format("[{}]", id));
  }
  return {{"tokens", tokens},
          {"activations", json::value_from(context.activations)},
          {"peak", context.peak},
          {"document", context.document},
          {"position", context.position}};
}

json::object contexts_json(const sae::LatentContexts& found, double density,
                           const models::Tokenizer* tokenizer) {
  json::array contexts;
  for (const sae::Context& context : found.contexts) contexts.push_back(context_json(context, tokenizer));
  return {{"latent", found.latent},
          {"density", density},
          {"max_activation", found.max_activation},
          {"contexts", contexts}};
}

}  // namespace orthant::launch
