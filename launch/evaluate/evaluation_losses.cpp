#include "launch/evaluate/evaluation_losses.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "launch/program/refuse.h"
#include "models/tasks/edit_losses.h"
#include "runtime/job/progress.h"
#include "sae/exchange/load_dictionary.h"
#include "sae/measure/splice_edit.h"

namespace orthant::launch {
namespace {

std::vector<int32_t> excluded_positions(const Source& source) {
  const auto& positions = source.exclude().positions();
  return positions.empty() ? std::vector<int32_t>{0}
                           : std::vector<int32_t>(positions.begin(), positions.end());
}

}  // namespace

EvaluationLosses::EvaluationLosses(EvaluationJob& job) : job_(&job) {
  const Evaluate& own = job.own;
  if (!job.model) refuse("ce needs a language model", "none is given", "Give --model=FILE.");
  const models::ModelConfig& config = job.model->weights.config;
  if (!own.has_text() && own.source().store_size() == 0) {
    refuse("ce needs text", "the source is no store of tokens", "Give --text=FILE.");
  }
  const std::string hook = own.hook().empty() ? text_or(job.provenance, "hook", own.hook()) : own.hook();
  if (hook.empty()) {
    refuse("ce needs a hook point", "the source does not name one", "Give --hook=blocks.L.hook_resid_post.");
  }
  hook_ = models::parse_hook(hook, config.layers);
  if (config.d_model != job.dictionary.d_model) {
    refuse(fmt::format("the dictionary has d_model {}, the model {}", job.dictionary.d_model, config.d_model),
           "they do not belong together", "Give the model that the dictionary was trained on.");
  }
  const int64_t tokens = own.ce().tokens();
  text_ = own.has_text()
              ? text_of_file(own.text(), own.source(), *job.model->tokenizer, tokens, job.invocation.log)
              : text_of_store(own.source().store(0), own.source().holdout(), tokens);
  if (text_.sequences.empty()) refuse("ce has no text", "no row has two tokens", "Give a longer --text.");
  for (const auto& sequence : text_.sequences) check_tokens(sequence);
}

void EvaluationLosses::check_tokens(const std::vector<int32_t>& sequence) const {
  const models::ModelConfig& config = job_->model->weights.config;
  const auto [least, most] = std::minmax_element(sequence.begin(), sequence.end());
  if (*least < 0 || *most >= config.vocabulary) {
    refuse("the text has tokens that the model does not know", "it was tokenized for another model",
           "Give the model that the store was harvested from.");
  }
  if (static_cast<int64_t>(sequence.size()) > config.context_length) {
    refuse("a row of the text is longer than the model's context", "the model cannot run it",
           "Give --text with a shorter --source.context.");
  }
}

void EvaluationLosses::measure(double norm_limit) {
  World& world = job_->world;
  // Language models run data-parallel: every rank holds the whole dictionary.
  sae::DictionaryFile whole;
  agree(*world.control, "load the whole dictionary", [&] {
    whole = sae::load_dictionary(job_->own.sae(), job_->memory.host());
    whole.dictionary.encoder_precision = job_->precision;
    whole.dictionary = placed(std::move(whole.dictionary), job_->memory.device());
  });
  const auto& ids = job_->own.source().exclude().token_ids();
  const std::vector<int32_t> token_ids(ids.begin(), ids.end());
  const std::vector<int32_t> positions = excluded_positions(job_->own.source());
  sae::SpliceEdit splice(whole.dictionary,
                         {.token_ids = token_ids, .positions = positions, .norm_limit = norm_limit},
                         job_->memory.device());
  sae::ZeroEdit zero;
  ResidualEdit* const edits[] = {&splice, &zero};
  Progress progress(progress_style(job_->invocation.common.progress(), world.rank()), "percent of ce");
  const models::EditLossOptions options{
      .hook = hook_,
      .uncounted = {.token_ids = token_ids, .positions = positions},
      .batch_tokens = job_->own.ce().batch_tokens(),
      .progress = [&](double share) {
        stop_if_asked(*world.control);
        progress.show({.done = std::llround(100.0 * share), .total = 100, .text = ""});
      }};
  const models::EditLosses losses =
      models::measure_edit_losses(job_->model->weights, text_.sequences, edits, options, *world.data,
                                  job_->memory.device(), job_->stream);
  if (losses.tokens == 0) {
    refuse("ce has no token that counts", "all are excluded", "Give more text or exclude less.");
  }
  job_->evaluation.losses =
      sae::SplicedLosses{.sequences = losses.sequences,
                         .tokens = losses.tokens,
                         .uncounted = losses.uncounted,
                         .rows_over_norm_limit = world.control->sum(splice.rows_over_norm_limit()),
                         .norm_limit = norm_limit,
                         .held_out = text_.held_out,
                         .ce_without_sae = losses.ce,
                         .ce_with_sae = losses.edits[0].ce,
                         .ce_with_ablation = losses.edits[1].ce,
                         .kl_with_sae = losses.edits[0].kl,
                         .kl_with_ablation = losses.edits[1].kl};
}

}  // namespace orthant::launch
