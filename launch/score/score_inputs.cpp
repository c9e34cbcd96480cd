#include "launch/score/score_inputs.h"

#include <algorithm>

#include "launch/program/refuse.h"
#include "launch/program/required_field.h"
#include "launch/source/source_hook.h"

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
    refuse("both store and text are given", "a job reads one of them", "Leave --store or --text out.");
  }
  if (config.contrast().has_text()) {
    refuse("a store is scored and contrast.text is given", "the model is not run over a text beside a store",
           "Give --text and --hook in place of --store, or leave --contrast.text out.");
  }
  Source source;
  source.add_store(config.store());
  return source;
}

models::TokenRows rows_of(const Score& config, const std::string& path, int64_t tokens,
                          const models::Tokenizer& tokenizer, Log& log) {
  models::TokenRows rows(
      {.path = path,
       .field = config.text_field(),
       .split = models::text_split_from_name(config.text_split()),
       .openthoughts = models::template_prompts(config.text_template(), config.text_prompts())},
      {.context = config.context(), .tokens = tokens, .bos = config.bos(), .pack = config.pack()},
      &tokenizer);
  models::warn_of_invalid_utf8(log, path, rows.counts().invalid_utf8);
  return rows;
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

ScoreText score_text(const Score& config, const models::Tokenizer& tokenizer, Log& log) {
  ScoreText text{.rows = rows_of(config, config.text(), config.tokens(), tokenizer, log)};
  text.scored_rows = text.rows.tokens();
  if (text.scored_rows == 0 || !config.contrast().has_text()) return text;
  text.rows.append(rows_of(config, config.contrast().text(), config.contrast().tokens(), tokenizer, log));
  if (text.rows.tokens() > text.scored_rows) return text;
  refuse(config.contrast().text() + " has no tokens", "all of its documents are empty",
         "Give another --contrast.text.");
}

sae::WindowOptions score_window(const Score& config) {
  const bool released = config.preset() == "released";
  const ScoreWindow& window = config.window();
  return {.left = window.has_left() ? window.left() : (released ? 1 : 2),
          .right = window.has_right() ? window.right() : (released ? 2 : 3),
          .compat = window.compat()};
}

std::vector<int32_t> special_ids(const Score& config, const models::Tokenizer& tokenizer) {
  std::vector<int32_t> ids(config.special_ids().begin(), config.special_ids().end());
  if (ids.empty()) {
    if (tokenizer.bos()) ids.push_back(*tokenizer.bos());
    if (tokenizer.eos() && tokenizer.eos() != tokenizer.bos()) ids.push_back(*tokenizer.eos());
  }
  std::sort(ids.begin(), ids.end());
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
