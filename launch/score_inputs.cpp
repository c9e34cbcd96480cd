#include "launch/score_inputs.h"

#include "launch/required_field.h"
#include "launch/source_hook.h"
#include "runtime/core/error.h"

namespace orthant::launch {
namespace {

Source text_source(const Score& config) {
  Source source;
  source.set_model(required_field("model", config.model()));
  source.set_text(required_field("text", config.text()));
  source.set_hook(required_field("hook", config.hook()));
  source.set_text_field(config.text_field());
  source.set_text_split(config.text_split());
  source.set_context(config.context());
  source.set_tokens(config.tokens());
  source.set_bos(config.bos());
  source.set_pack(config.pack());
  return source;
}

Source store_source(const Score& config) {
  if (config.has_text()) {
    throw Error(ExitCode::kConfig, {.problem = "both store and text are given",
                                    .why = "a job reads one of them",
                                    .suggestion = "Leave --store or --text out."});
  }
  Source source;
  source.set_store(config.store());
  return source;
}

}  // namespace

Source score_source(const Score& config) {
  Source source = config.has_store() ? store_source(config) : text_source(config);
  source.set_shuffle(false);
  source.set_holdout(0.0);
  source.mutable_exclude()->add_positions(-1);
  source.mutable_exclude()->set_norm_ratio(0.0);
  return source;
}

sae::WindowOptions score_window(const Score& config) {
  const bool released = config.preset() == "released";
  const ScoreWindow& window = config.window();
  return {.left = window.has_left() ? window.left() : (released ? 1 : 2),
          .right = window.has_right() ? window.right() : (released ? 2 : 3),
          .compat = window.compat()};
}

std::vector<int32_t> special_ids(const Score& config, const models::Tokenizer& tokenizer) {
  if (!config.special_ids().empty()) return {config.special_ids().begin(), config.special_ids().end()};
  std::vector<int32_t> ids;
  if (tokenizer.bos()) ids.push_back(*tokenizer.bos());
  if (tokenizer.eos() && tokenizer.eos() != tokenizer.bos()) ids.push_back(*tokenizer.eos());
  return ids;
}

ScoredHooks scored_hooks(const Score& config, const std::map<std::string, std::string>& metadata) {
  ScoredHooks hooks{.of_dictionary = "", .of_activations = hook_of(score_source(config))};
  for (const char* const name : {"hook_name", "hook"}) {
    if (const auto found = metadata.find(name); found != metadata.end()) hooks.of_dictionary = found->second;
  }
  return hooks;
}

}  // namespace orthant::launch
