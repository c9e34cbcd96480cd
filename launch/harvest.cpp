#include "models/transformer/harvest.h"

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <filesystem>
#include <optional>

#include "launch/config.pb.h"
#include "launch/harvest_plan.h"
#include "launch/harvest_text.h"
#include "launch/plan_table.h"
#include "launch/required_field.h"
#include "launch/verb.h"
#include "models/transformer/language_model.h"
#include "runtime/job/progress.h"
#include "runtime/job/run_directory.h"
#include "runtime/job/signals.h"

namespace orthant::launch {
namespace {

// Everything that a store's rows depend on.
boost::json::object provenance(const Harvest& config, const models::LanguageModel& model,
                               const std::string& text, models::HookPoint hook) {
  return {{"model", model.weights.config.name},
          {"model_format", model.description},
          {"model_identity", model.identity},
          {"hook", to_string(hook)},
          {"text_identity", text},
          {"context", config.context()},
          {"precision", config.precision()}};
}

// One hook: the run directory is the store. Several: a folder each.
std::vector<models::HarvestTarget> targets_of(const Harvest& config, const models::LanguageModel& model,
                                              const models::TokenRows& text,
                                              const std::vector<models::HookPoint>& hooks,
                                              const std::string& out) {
  std::vector<models::HarvestTarget> targets;
  const std::string text_identity = text.identity();
  for (const models::HookPoint hook : hooks) {
    const std::string path =
        hooks.size() == 1 ? out : (std::filesystem::path(out) / to_string(hook)).string();
    targets.push_back({hook,
                       path,
                       {.rows = text.tokens(),
                        .d_model = model.weights.config.d_model,
                        .dtype = dtype_from_name(config.dtype()),
                        .provenance = provenance(config, model, text_identity, hook)}});
  }
  return targets;
}

boost::json::object result_of(const Harvest& config, const models::TokenRows& text,
                              const std::vector<models::HarvestTarget>& targets,
                              const models::HarvestOutcome& outcome, double seconds) {
  boost::json::object result = {{"tokens", text.tokens()},
                                {"rows", text.rows()},
                                {"documents", text.counts().documents},
                                {"empty_documents", text.counts().empty_documents},
                                {"invalid_utf8", text.counts().invalid_utf8},
                                {"d_model", targets[0].description.d_model},
                                {"dtype", config.dtype()},
                                {"hook", to_string(targets[0].hook)},
                                {"content_hash", outcome.content_hashes[0]},
                                {"tokens_per_second", static_cast<double>(outcome.tokens_run) / seconds}};
  if (targets.size() == 1) return result;
  boost::json::array stores;
  for (size_t i = 0; i < targets.size(); ++i) {
    stores.push_back(boost::json::object{{"hook", to_string(targets[i].hook)},
                                         {"store", targets[i].path},
                                         {"content_hash", outcome.content_hashes[i]}});
  }
  result["stores"] = stores;
  return result;
}

ExitCode run(Invocation& invocation) {
  using Clock = std::chrono::steady_clock;
  const auto& config = invocation.own<Harvest>();
  ControlGroup& control = *invocation.world.control;
  JobMemory memory(invocation.device);
  Stream stream(invocation.device);
  std::optional<models::LanguageModel> model;
  std::optional<models::TokenRows> text;
  std::vector<models::HookPoint> hooks;
  agree(control, "harvest", [&] { predict_harvest(config, invocation.world.local_size, memory); });
  agree(control, "harvest", [&] {
    const std::string& path = required_field("model", config.model());
    hooks = hooks_of(config, models::open_model_file(path)->config().layers);
    model =
        models::open_language_model(path, config.tokenizer(), models::blocks_needed(hooks), memory.device(),
                                    stream, kernels::precision_from_name(config.precision()));
    text = read_text(config, *model->tokenizer);
    models::check_rows(*text, config.text(), model->weights.config.context_length);
  });
  models::warn_of_invalid_utf8(invocation.log, config.text(), text->counts().invalid_utf8);
  const auto targets = targets_of(config, *model, *text, hooks, invocation.run->path());
  invocation.log.info("harvest: {} tokens in {} rows of {} documents ({} empty)", text->tokens(),
                      text->rows(), text->counts().documents, text->counts().empty_documents);
  invocation.run->begin_attempt("token", 0);
  Progress progress(progress_style(invocation.common.progress(), control.rank()), "token");
  const auto start = Clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  const double minutes = invocation.common.checkpoint().every_minutes();
  const models::HarvestOptions options{
      .progress =
          [&](int64_t done, int64_t total) {
            progress.show({.done = done,
                           .total = total,
                           .text = "",
                           .tokens_per_second = static_cast<double>(done * control.size()) / seconds()});
          },
      .stop = [] { return stop_requested(); },
      .publish_seconds = minutes > 0 ? minutes * 60.0 : 1e18};
  const auto outcome = models::harvest(model->weights, *text, targets, options, control, memory.host(),
                                       memory.device(), stream);
  invocation.log.info("memory of this rank\n{}", memory.table());
  if (outcome.stopped) return ExitCode::kStopped;
  return invocation.finish(result_of(config, *text, targets, outcome, seconds()));
}

}  // namespace

Verb harvest_verb() {
  return {.name = "harvest",
          .summary = "write activations of a text at a hook of a language model to a store",
          .schema = Harvest::descriptor(),
          .run_use = RunUse::kRequired,
          .run = run,
          .plan =
              [](Invocation& asked) {
                return plan_harvest(asked.common, asked.own<Harvest>(), {.ranks = asked.world.size()});
              },
          .plan_table = harvest_plan_table,
          .runs_on_cuda = true};
}

}  // namespace orthant::launch
