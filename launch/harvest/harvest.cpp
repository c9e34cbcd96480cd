#include "models/transformer/harvest.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <filesystem>
#include <optional>

#include "launch/config.pb.h"
#include "launch/harvest/harvest_plan.h"
#include "launch/harvest/harvest_text.h"
#include "launch/plan/plan_table.h"
#include "launch/program/required_field.h"
#include "launch/program/verb.h"
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

// The store of a hook. One model and one hook: the run directory. Several models: a folder each, in their
// order; several hooks: a folder each in it.
std::string store_path(const Harvest& config, int model, const std::vector<models::HookPoint>& hooks,
                       models::HookPoint hook, const std::string& out) {
  std::filesystem::path path(out);
  if (config.model_size() > 1) {
    const std::filesystem::path file(config.model(model));
    const auto& named = file.filename().empty() ? file.parent_path() : file;
    path /= fmt::format("{}-{}", model + 1, named.stem().string());
  }
  if (hooks.size() > 1) path /= to_string(hook);
  return path.string();
}

boost::json::object result_of(const Harvest& config, const models::TokenRows& text,
                              const boost::json::array& stores, int64_t tokens_run, double seconds) {
  const boost::json::object& first = stores[0].as_object();
  boost::json::object result = {{"tokens", text.tokens()},
                                {"rows", text.rows()},
                                {"documents", text.counts().documents},
                                {"empty_documents", text.counts().empty_documents},
                                {"invalid_utf8", text.counts().invalid_utf8},
                                {"d_model", first.at("d_model")},
                                {"dtype", config.dtype()},
                                {"hook", first.at("hook")},
                                {"content_hash", first.at("content_hash")},
                                {"tokens_per_second", static_cast<double>(tokens_run) / seconds}};
  if (stores.size() > 1) result["stores"] = stores;
  return result;
}

// The harvest of one text through model after model, so that only one of them takes room at a time.
class Harvests {
 public:
  explicit Harvests(Invocation& invocation)
      : call_(invocation),
        config_(invocation.own<Harvest>()),
        control_(*invocation.world.control),
        progress_(progress_style(invocation.common.progress(), control_.rank()), "token") {}

  ExitCode run() {
    agree(control_, "harvest", [&] { (void)models_of(config_); });
    for (int model = 0; model < config_.model_size(); ++model) {
      if (!run_model(model)) return ExitCode::kStopped;
    }
    return call_.finish(result_of(config_, *text_, stores_, tokens_run_, seconds()));
  }

 private:
  using Clock = std::chrono::steady_clock;

  // False: stopped on request.
  bool run_model(int index) {
    JobMemory memory(call_.device);
    Stream stream(call_.device);
    std::optional<models::LanguageModel> model;
    std::vector<models::HookPoint> hooks;
    agree(control_, "harvest", [&] {
      predict_harvest(config_, index, call_.world.local_size, memory);
      const std::string& path = config_.model(index);
      hooks = hooks_of(config_, models::open_model_file(path)->config().layers);
      model = models::open_language_model(path, config_.tokenizer(), models::blocks_needed(hooks),
                                          memory.device(), stream,
                                          kernels::precision_from_name(config_.precision()));
      take_text(index, *model->tokenizer);
      models::check_rows(*text_, config_.text(), model->weights.config.context_length);
    });
    if (index == 0) begin();
    std::vector<models::HarvestTarget> targets;
    for (const models::HookPoint hook : hooks) {
      targets.push_back({hook,
                         store_path(config_, index, hooks, hook, call_.run->path()),
                         {.rows = text_->tokens(),
                          .d_model = model->weights.config.d_model,
                          .dtype = dtype_from_name(config_.dtype()),
                          .provenance = provenance(config_, *model, text_identity_, hook)}});
    }
    const auto outcome = models::harvest(model->weights, *text_, targets, options(), control_, memory.host(),
                                         memory.device(), stream);
    call_.log.info("memory of this rank\n{}", memory.table());
    tokens_run_ += outcome.tokens_run;
    if (outcome.stopped) return false;
    for (size_t i = 0; i < targets.size(); ++i) {
      stores_.push_back(boost::json::object{{"model", config_.model(index)},
                                            {"hook", to_string(targets[i].hook)},
                                            {"store", targets[i].path},
                                            {"d_model", targets[i].description.d_model},
                                            {"content_hash", outcome.content_hashes[i]}});
    }
    return true;
  }

  // The first model's tokenizer cuts the text; those of the others are to cut it alike.
  void take_text(int model, const models::Tokenizer& tokenizer) {
    models::TokenRows text = read_text(config_, tokenizer);
    if (model > 0) return refuse_other_tokens(model, text);
    text_identity_ = text.identity();
    text_ = std::move(text);
  }

  void refuse_other_tokens(int model, const models::TokenRows& text) const {
    if (text.identity() == text_identity_) return;
    const auto ids = text_->token_ids(), others = text.token_ids();
    const auto place = std::mismatch(ids.begin(), ids.end(), others.begin(), others.end());
    throw Error(
        ExitCode::kConfig,
        {.problem = fmt::format("{} and {} cut the text into different tokens, first at token {}",
                                config_.model(0), config_.model(model), place.first - ids.begin()),
         .why = "the stores of one harvest hold the same tokens",
         .suggestion = "Give models of one tokenizer, or token ids (--text=FILE.npy), or --tokenizer."});
  }

  void begin() {
    models::warn_of_invalid_utf8(call_.log, config_.text(), text_->counts().invalid_utf8);
    call_.log.info("harvest: {} tokens in {} rows of {} documents ({} empty)", text_->tokens(), text_->rows(),
                   text_->counts().documents, text_->counts().empty_documents);
    call_.run->begin_attempt("token", 0);
    started_ = Clock::now();
  }

  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(Clock::now() - started_).count();
  }

  [[nodiscard]] models::HarvestOptions options() {
    const double minutes = call_.common.checkpoint().every_minutes();
    const int64_t before = tokens_run_;
    return {.progress =
                [this, before](int64_t done, int64_t total) {
                  const auto ran = static_cast<double>(before + done * control_.size());
                  progress_.show(
                      {.done = done, .total = total, .text = "", .tokens_per_second = ran / seconds()});
                },
            .stop = [] { return stop_requested(); },
            .publish_seconds = minutes > 0 ? minutes * 60.0 : 1e18};
  }

  Invocation& call_;
  const Harvest& config_;
  ControlGroup& control_;
  Progress progress_;
  Clock::time_point started_ = {};
  std::optional<models::TokenRows> text_;
  std::string text_identity_;
  boost::json::array stores_;
  int64_t tokens_run_ = 0;
};

ExitCode run(Invocation& invocation) {
  return Harvests(invocation).run();
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
