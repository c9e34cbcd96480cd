// `orthant evaluate`: how well a dictionary stands for activations, what it is worth to the model, how its
// latents lie and where they fire.

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "launch/evaluate/evaluation_files.h"
#include "launch/evaluate/evaluation_job.h"
#include "launch/evaluate/evaluation_losses.h"
#include "launch/evaluate/evaluation_rows.h"
#include "launch/program/refuse.h"
#include "launch/program/result.h"
#include "launch/program/verb.h"
#include "launch/source/open_source.h"
#include "runtime/job/run_directory.h"
#include "runtime/storage/activation_store.h"
#include "sae/exchange/load_dictionary.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

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
      source.store_size() > 0 || source.has_array() || source.has_synthetic() || source.has_model();
  const bool has_text = own.has_text() || source.store_size() > 0;
  if (names.empty()) return {has_source, true, own.has_model() && has_text, source.store_size() > 0};
  const auto has = [&](const char* name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  return {has("core") || has("contexts"), has("geometry"), has("ce"), has("contexts")};
}

// One evaluation on this rank, stage by stage.
class Evaluator {
 public:
  explicit Evaluator(Invocation& invocation) : job_(invocation), wanted_(wanted_of(job_.own)) {}

  ExitCode run() {
    if (!job_.own.has_sae())
      refuse("no dictionary is given", "evaluate measures one", "Give --sae=RUN_OR_DIR.");
    ControlGroup& control = *job_.world.control;
    agree(control, "open the inputs", [&] { open(); });
    measure();
    RunDirectory* run = job_.invocation.run;
    if (run != nullptr) agree(control, "write the results", [&] { write_files(run->path()); });
    json::object document = sae::evaluation_json(job_.evaluation);
    document["sae"] = job_.own.sae();
    document["precision"] = job_.own.precision();
    if (rows_) document["source"] = rows_->identity();
    return job_.invocation.finish(document);
  }

 private:
  void open() {
    const Source& source = job_.own.source();
    if (source.has_model() || (job_.own.has_model() && wanted_.ce)) {
      refuse_undetermined_model(job_.invocation.common, job_.invocation.device);
    }
    sae::DictionaryFile own =
        sae::load_dictionary(job_.own.sae(), job_.memory.host(), job_.grid.dictionary->size(),
                             job_.grid.dictionary->rank(), job_.virtual_shards);
    refuse_more_shards_than_latents(own.dictionary.latents);
    own.dictionary.encoder_precision = job_.precision;
    job_.dictionary = placed(std::move(own.dictionary), job_.memory.device());
    job_.evaluation.dictionary = &job_.dictionary;
    if (source.store_size() > 0) job_.provenance = StoreReader(source.store(0)).provenance();
    if (wanted_.core || source.store_size() > 0 || source.has_array() || source.has_synthetic())
      rows_.emplace(job_);
    if (job_.own.has_model() && (wanted_.ce || wanted_.contexts)) open_model();
    if (wanted_.ce) losses_.emplace(job_);
  }

  void refuse_more_shards_than_latents(int64_t latents) const {
    const int shards = job_.grid.dictionary->size();
    if (shards <= latents) return;
    refuse(fmt::format("mesh.dictionary = {} exceeds the dictionary's {} latents", shards, latents),
           "every shard holds at least one latent", "Use fewer shards or more replicas (mesh.data).");
  }

  void open_model() {
    job_.model = models::open_language_model(job_.own.model(), job_.own.tokenizer(), {}, job_.memory.device(),
                                             job_.stream, job_.precision);
    const std::string& identity = job_.model->identity;
    if (text_or(job_.provenance, "model_identity", identity) != identity) {
      job_.invocation.log.warning("'{}' is not the model that the store was harvested from",
                                  job_.own.model());
    }
  }

  void measure() {
    ControlGroup& control = *job_.world.control;
    if (wanted_.core) {
      rows_->measure_reconstruction();
      stop_if_asked(control);
    }
    if (wanted_.geometry) {
      job_.evaluation.geometry = sae::measure_geometry(job_.dictionary, job_.invocation.common.seed(),
                                                       *job_.grid.dictionary, job_.virtual_shards);
      stop_if_asked(control);
    }
    if (wanted_.contexts) {
      contexts_ = rows_->find_contexts();
      stop_if_asked(control);
    }
    if (wanted_.ce) losses_->measure(rows_ ? rows_->norm_limit() : 0.0);
  }

  void write_files(const std::string& directory) const {
    if (job_.world.rank() != 0) return;
    write_measures(job_, directory);
    if (wanted_.contexts) write_contexts(job_, contexts_, directory);
  }

  EvaluationJob job_;
  Wanted wanted_;
  std::optional<EvaluationRows> rows_;
  std::optional<EvaluationLosses> losses_;
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
  } catch (const EvaluationStopped&) {
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
          .table = table_of,
          .runs_on_cuda = true};
}

}  // namespace orthant::launch
