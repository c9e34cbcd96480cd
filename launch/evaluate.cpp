// `orthant evaluate`: how well a dictionary stands for activations, what it is worth to the model, how its
// latents lie and where they fire.

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <chrono>
#include <cmath>
#include <memory>

#include "launch/config.pb.h"
#include "launch/evaluation_text.h"
#include "launch/open_source.h"
#include "launch/result.h"
#include "launch/verb.h"
#include "launch/version.h"
#include "models/tasks/edit_losses.h"
#include "models/transformer/language_model.h"
#include "runtime/job/progress.h"
#include "runtime/job/run_directory.h"
#include "runtime/job/signals.h"
#include "runtime/storage/activation_store.h"
#include "runtime/storage/file.h"
#include "runtime/storage/row_selection.h"
#include "sae/exchange/load_dictionary.h"
#include "sae/measure/evaluation.h"
#include "sae/measure/saebench.h"
#include "sae/measure/splice_edit.h"
#include "sae/measure/top_contexts.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

constexpr int kVirtualShards = 12;
constexpr int64_t kNormRows = 4096;

// Thrown on all ranks at an agreed point; the run is repeated by its command.
struct Stopped {};

void stop_if_asked(ControlGroup& control) {
  if (control.bit_or(stop_requested() ? 1 : 0) != 0) throw Stopped{};
}

struct Wanted {
  bool core = false;
  bool geometry = false;
  bool ce = false;
  bool contexts = false;
};

Wanted wanted_of(const Evaluate& own) {
  const auto& names = own.metrics();
  const Source& source = own.source();
  const bool has_source =
      source.has_store() || source.has_array() || source.has_synthetic() || source.has_model();
  const bool has_text = own.has_text() || source.has_store();
  if (names.empty()) return {has_source, true, own.has_model() && has_text, source.has_store()};
  const auto has = [&](const char* name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  return {has("core") || has("contexts"), has("geometry"), has("ce"), has("contexts")};
}

[[noreturn]] void missing(const char* what, const char* why, const char* suggestion) {
  throw Error(ExitCode::kConfig, {.problem = what, .why = why, .suggestion = suggestion});
}

// What a store says of itself; empty for other sources.
json::object provenance_of(const Source& source) {
  return source.has_store() ? StoreReader(source.store()).provenance() : json::object{};
}

std::string text_or(const json::object& fields, const char* name, const std::string& otherwise) {
  const json::value* value = fields.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : otherwise;
}

std::vector<int32_t> excluded_positions(const Source& source) {
  const auto& positions = source.exclude().positions();
  return positions.empty() ? std::vector<int32_t>{0}
                           : std::vector<int32_t>(positions.begin(), positions.end());
}

// One evaluation on this rank, stage by stage.
class Evaluator {
 public:
  explicit Evaluator(Invocation& invocation)
      : invocation_(invocation),
        own_(invocation.own<Evaluate>()),
        world_(invocation.world),
        precision_(kernels::precision_from_name(own_.precision())),
        wanted_(wanted_of(own_)),
        virtual_shards_(invocation.common.deterministic() ? kVirtualShards : 0),
        mesh_(resolve_mesh({invocation.common.mesh().data(), invocation.common.mesh().dictionary()},
                           invocation.world.size())),
        grid_(make_grid(*invocation.world.data, mesh_)) {}

  ExitCode run() {
    if (!own_.has_sae()) missing("no dictionary is given", "evaluate measures one", "Give --sae=RUN_OR_DIR.");
    agree(*world_.control, "opening the inputs", [&] { open(); });
    measure_dictionary();
    if (wanted_.ce) measure_ce();
    if (invocation_.run != nullptr) {
      agree(*world_.control, "writing the results", [&] { write_files(); });
    }
    json::object document = sae::evaluation_json(evaluation_);
    document["sae"] = own_.sae();
    document["precision"] = own_.precision();
    if (source_) document["source"] = source_->identity();
    return invocation_.finish(document);
  }

 private:
  using Evaluation = sae::Evaluation;

  void open() {
    dictionary_ = sae::load_dictionary(own_.sae(), memory_, grid_.dictionary->size(),
                                       grid_.dictionary->rank(), virtual_shards_)
                      .dictionary;
    dictionary_.encoder_precision = precision_;
    evaluation_.dictionary = &dictionary_;
    const Source& config = own_.source();
    provenance_ = provenance_of(config);
    if (wanted_.core || config.has_store() || config.has_array() || config.has_synthetic()) open_rows(config);
    if (own_.has_model() && (wanted_.ce || wanted_.contexts)) {
      model_ = models::open_language_model(own_.model(), own_.tokenizer(), {}, memory_, stream_, precision_);
      if (text_or(provenance_, "model_identity", model_->identity) != model_->identity) {
        invocation_.log.warning("'{}' is not the model that the store was harvested from", own_.model());
      }
    }
    if (wanted_.ce) open_text();
  }

  void open_rows(Source config) {
    config.set_shuffle(false);  // contexts need the order of the file
    source_ = open_source(config, invocation_.common.seed(), world_, memory_, invocation_.log, precision_);
    if (source_->d_model() != dictionary_.d_model) {
      throw Error(ExitCode::kConfig, {.problem = fmt::format("the dictionary has d_model {}, the source {}",
                                                             dictionary_.d_model, source_->d_model()),
                                      .why = "they belong to different models or hooks",
                                      .suggestion = "Give the source that the dictionary was trained on."});
    }
    const bool held_out = source_->rows(Split::kHoldout) > 0 || source_->rows(Split::kTrain) == 0;
    split_ = held_out ? Split::kHoldout : Split::kTrain;
    const int64_t available = source_->rows(split_);
    rows_ = own_.rows() == 0 ? available : own_.rows();
    if (available > 0) rows_ = std::min(rows_, available);
    evaluation_.measured_split = held_out ? "holdout" : "train";
    evaluation_.excluded = source_->excluded();
  }

  void open_text() {
    if (!model_) missing("ce needs a language model", "none is given", "Give --model=FILE.");
    if (!own_.has_text() && !own_.source().has_store()) {
      missing("ce needs text", "the source is no store of tokens", "Give --text=FILE.");
    }
    const std::string hook = text_or(provenance_, "hook", own_.hook());
    if (own_.hook().empty() && hook.empty()) {
      missing("ce needs a hook point", "the source does not name one",
              "Give --hook=blocks.L.hook_resid_post.");
    }
    hook_ = models::parse_hook(own_.hook().empty() ? hook : own_.hook(), model_->weights.config.layers);
    if (model_->weights.config.d_model != dictionary_.d_model) {
      missing("the model's width is not the dictionary's", "they do not belong together",
              "Give the model that the dictionary was trained on.");
    }
    const int64_t tokens = own_.ce().tokens();
    text_ = own_.has_text() ? text_of_file(own_.text(), own_.source(), *model_->tokenizer, tokens)
                            : text_of_store(own_.source().store(), own_.source().holdout(), tokens);
    if (text_.sequences.empty()) missing("ce has no text", "no row has two tokens", "Give a longer --text.");
    for (const auto& sequence : text_.sequences) check_tokens(sequence);
  }

  void check_tokens(const std::vector<int32_t>& sequence) const {
    const models::ModelConfig& config = model_->weights.config;
    const auto [least, most] = std::minmax_element(sequence.begin(), sequence.end());
    if (*least < 0 || *most >= config.vocabulary) {
      missing("the text has tokens that the model does not know", "it was tokenized for another model",
              "Give the model that the store was harvested from.");
    }
    if (static_cast<int64_t>(sequence.size()) > config.context_length) {
      missing("a row of the text is longer than the model's context", "the model cannot run it",
              "Give --text with a shorter --source.context.");
    }
  }

  void measure_dictionary() {
    if (wanted_.core) {
      evaluation_.quality =
          sae::measure_reconstruction(dictionary_, *source_, split_, rows_, grid_, virtual_shards_);
      evaluation_.latents =
          sae::latent_statistics(*evaluation_.quality, dictionary_, *grid_.dictionary, virtual_shards_);
      stop_if_asked(*world_.control);
    }
    if (wanted_.geometry) {
      evaluation_.geometry =
          sae::measure_geometry(dictionary_, invocation_.common.seed(), *grid_.dictionary, virtual_shards_);
      stop_if_asked(*world_.control);
    }
    if (!wanted_.contexts) return;
    const std::vector<int64_t> latents =
        sae::latents_across_densities(evaluation_.latents->density, own_.contexts().latents());
    contexts_ = sae::find_top_contexts(
        dictionary_, *source_, latents,
        {.split = split_, .rows = rows_, .top = own_.contexts().top(), .width = own_.contexts().width()},
        world_, grid_, virtual_shards_);
    if (contexts_.empty() && !latents.empty())
      invocation_.log.warning("the source has no tokens: no contexts");
    stop_if_asked(*world_.control);
  }

  // The norm above which the source leaves rows out, from the median of its first rows.
  [[nodiscard]] double norm_limit() {
    const double ratio = own_.source().exclude().norm_ratio();
    const int64_t rows = std::min(rows_, kNormRows);
    if (!source_ || ratio <= 0.0 || rows == 0) return 0.0;
    Tensor<float, 2> x(memory_, "measure", {rows, source_->d_model()});
    source_->read(split_, 0, x.view(), nullptr);
    std::vector<float> norms;
    for (int64_t r = 0; r < rows; ++r) {
      double square = 0.0;
      for (int64_t c = 0; c < source_->d_model(); ++c) {
        square += static_cast<double>(x.view().row(r)[c]) * x.view().row(r)[c];
      }
      norms.push_back(static_cast<float>(std::sqrt(square)));
    }
    return ratio * static_cast<double>(median_of(std::move(norms)));
  }

  void measure_ce() {
    const double limit = norm_limit();
    // Language models run data-parallel: every rank holds the whole dictionary.
    sae::DictionaryFile whole;
    agree(*world_.control, "loading the whole dictionary",
          [&] { whole = sae::load_dictionary(own_.sae(), memory_); });
    whole.dictionary.encoder_precision = precision_;
    const auto& ids = own_.source().exclude().token_ids();
    const std::vector<int32_t> token_ids(ids.begin(), ids.end());
    const std::vector<int32_t> positions = excluded_positions(own_.source());
    sae::SpliceEdit splice(whole.dictionary,
                           {.token_ids = token_ids, .positions = positions, .norm_limit = limit}, memory_);
    sae::ZeroEdit zero;
    ResidualEdit* const edits[] = {&splice, &zero};
    Progress progress(progress_style(invocation_.common.progress(), world_.rank()), "percent of ce");
    const models::EditLossOptions options{
        .hook = hook_,
        .uncounted = {.token_ids = token_ids, .positions = positions},
        .batch_tokens = own_.ce().batch_tokens(),
        .progress = [&](double share) {
          stop_if_asked(*world_.control);
          progress.show({.done = std::llround(100.0 * share), .total = 100, .text = ""});
        }};
    const models::EditLosses losses = models::measure_edit_losses(model_->weights, text_.sequences, edits,
                                                                  options, *world_.data, memory_, stream_);
    if (losses.tokens == 0) {
      missing("ce has no token that counts", "all are excluded", "Give more text or exclude less.");
    }
    evaluation_.losses =
        sae::SplicedLosses{.sequences = losses.sequences,
                           .tokens = losses.tokens,
                           .uncounted = losses.uncounted,
                           .rows_over_norm_limit = world_.control->sum(splice.rows_over_norm_limit()),
                           .norm_limit = limit,
                           .held_out = text_.held_out,
                           .ce_without_sae = losses.ce,
                           .ce_with_sae = losses.edits[0].ce,
                           .ce_with_ablation = losses.edits[1].ce,
                           .kl_with_sae = losses.edits[0].kl,
                           .kl_with_ablation = losses.edits[1].kl};
  }

  void write_files() {
    if (world_.rank() != 0) return;
    sae::write_latent_files(evaluation_, invocation_.run->path());
    if (evaluation_.quality) write_saebench();
    if (!wanted_.contexts) return;
    std::string lines;
    for (const sae::LatentContexts& found : contexts_) lines += json::serialize(to_json(found)) + "\n";
    replace_file(invocation_.run->file("contexts.jsonl"), lines);
  }

  void write_saebench() const {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const json::object document = sae::saebench_json(
        evaluation_, {.id = to_hex(invocation_.config.key()),
                      .sae = own_.sae(),
                      .version = version(),
                      .git_hash = git_hash(),
                      .epoch_millis = std::chrono::duration_cast<std::chrono::milliseconds>(now).count(),
                      .compat = own_.compat()});
    replace_file(invocation_.run->file("saebench.json"), json::serialize(document) + "\n");
  }

  [[nodiscard]] std::string text_of(int32_t token_id) const {
    return model_ ? token_text(*model_->tokenizer, token_id) : fmt::format("[{}]", token_id);
  }

  [[nodiscard]] json::object to_json(const sae::LatentContexts& found) const {
    json::array contexts;
    for (const sae::Context& context : found.contexts) {
      json::array tokens;
      for (const int32_t id : context.token_ids) tokens.emplace_back(text_of(id));
      contexts.push_back({{"tokens", tokens},
                          {"activations", json::value_from(context.activations)},
                          {"peak", context.peak},
                          {"document", context.document},
                          {"position", context.position}});
    }
    return {{"latent", found.latent},
            {"density", evaluation_.latents->density[static_cast<size_t>(found.latent)]},
            {"max_activation", found.max_activation},
            {"contexts", contexts}};
  }

  Invocation& invocation_;
  const Evaluate& own_;
  World& world_;
  kernels::Precision precision_;
  Wanted wanted_;
  int virtual_shards_;
  MeshShape mesh_;
  Grid grid_;
  Memory memory_;
  Stream stream_;
  sae::Dictionary dictionary_;
  json::object provenance_;
  std::unique_ptr<ActivationSource> source_;
  Split split_ = Split::kHoldout;
  int64_t rows_ = 0;
  std::optional<models::LanguageModel> model_;
  models::HookPoint hook_;
  EvaluationText text_;
  Evaluation evaluation_;
  std::vector<sae::LatentContexts> contexts_;
};

// What the numbers mean stays in the document.
std::string table_of(const json::value& result) {
  json::object numbers = result.as_object();
  numbers.erase("definitions");
  return plain_table(numbers);
}

ExitCode run_evaluate(Invocation& invocation) {
  try {
    return Evaluator(invocation).run();
  } catch (const Stopped&) {
    return ExitCode::kStopped;
  }
}

}  // namespace

Verb evaluate_verb() {
  return {.name = "evaluate",
          .summary = "measure a dictionary: reconstruction, geometry, CE and KL of the model, top contexts",
          .schema = Evaluate::descriptor(),
          .run_use = RunUse::kOptional,
          .run = run_evaluate,
          .table = table_of};
}

}  // namespace orthant::launch
