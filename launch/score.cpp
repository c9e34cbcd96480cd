// `orthant score`: which latents fire near the words of a vocabulary, all of them in one pass.

#include <fmt/format.h>

#include <array>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <memory>

#include "launch/config.pb.h"
#include "launch/open_source.h"
#include "launch/refuse.h"
#include "launch/required_field.h"
#include "launch/result.h"
#include "launch/score_contexts.h"
#include "launch/score_files.h"
#include "launch/score_inputs.h"
#include "launch/score_vocabulary.h"
#include "launch/verb.h"
#include "launch/virtual_shards.h"
#include "runtime/job/checkpoint_schedule.h"
#include "runtime/job/progress.h"
#include "runtime/job/run_directory.h"
#include "runtime/job/signals.h"
#include "runtime/storage/checkpoint.h"
#include "runtime/storage/file.h"
#include "sae/exchange/load_dictionary.h"
#include "sae/scoring/code_blocks.h"
#include "sae/scoring/score_pass.h"
#include "sae/scoring/sequence_blocks.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

// One scoring job on this rank.
class Scorer {
 public:
  explicit Scorer(Invocation& invocation)
      : call_(invocation),
        own_(invocation.own<Score>()),
        world_(invocation.world),
        virtual_shards_(virtual_shards_of(invocation.common)),
        grid_(make_grid(*world_.data, mesh())) {}

  ExitCode run() {
    agree(*world_.control, "open the inputs", [&] { open(); });
    sae::ScoreSums sums(memory_, marker_->bits(), dictionary_.latents, dictionary_.slice, grid_.data->rank());
    if (pass_over_tokens(sums) == sae::ScorePassEnd::kStopped) return ExitCode::kStopped;
    const sae::LatentTotals totals = sums.totals(dictionary_, grid_, virtual_shards_);
    const LatentScores scores = scores_of(totals);
    if (call_.run != nullptr) {
      agree(*world_.control, "write the scores", [&] { write_files(scores, totals); });
      if (keeps_codes()) write_contexts(scores, totals);
    }
    return call_.finish(result_of(scores, totals));
  }

 private:
  // Rows are split; a dictionary that fits no rank is sharded where the mesh says so.
  [[nodiscard]] MeshShape mesh() const {
    const MeshShape asked{call_.common.mesh().data(), call_.common.mesh().dictionary()};
    if (asked.data == 0 && asked.dictionary == 0) return {.data = world_.size(), .dictionary = 1};
    return resolve_mesh(asked, world_.size());
  }

  void open() {
    const Source source = score_source(own_);
    sae::DictionaryFile loaded =
        sae::load_dictionary(required_field("sae", own_.sae()), memory_, grid_.dictionary->size(),
                             grid_.dictionary->rank(), virtual_shards_);
    dictionary_ = std::move(loaded.dictionary);
    const kernels::Precision precision = kernels::precision_from_name(own_.precision());
    dictionary_.encoder_precision = precision;
    tokenizer_ = models::open_tokenizer(required_field("model", own_.model()), own_.tokenizer());
    marker_.emplace(read_vocabulary(required_field("vocabulary", own_.vocabulary()), *tokenizer_),
                    special_ids(own_, *tokenizer_), score_window(own_));
    check_hook(scored_hooks(own_, loaded.metadata));
    source_ = open_source(source, call_.common.seed(), world_, memory_, memory_, call_.log, precision);
    if (source_->d_model() != dictionary_.d_model) {
      refuse(fmt::format("the dictionary has d_model {}, the activations {}", dictionary_.d_model,
                         source_->d_model()),
             "they belong to different models or hooks",
             "Give the model that the dictionary was trained on.");
    }
    blocks_ = sae::sequence_blocks(*source_, own_.tokens(), own_.block_tokens());
    if (blocks_.size() < 2)
      refuse("there is no token to score", "the text or store is empty", "Give another.");
  }

  // Whether all codes are kept for contexts.
  [[nodiscard]] bool keeps_codes() const { return call_.run != nullptr && own_.contexts().latents() > 0; }

  void check_hook(const ScoredHooks& hooks) const {
    if (!hooks.differ()) return;
    const std::string problem = fmt::format("the dictionary was trained on {}, the activations are of {}",
                                            hooks.of_dictionary, hooks.of_activations);
    if (!own_.force())
      refuse(problem, "its latents mean nothing elsewhere", "Give the other hook, or --force.");
    call_.log.warning("{}", problem);
  }

  sae::ScorePassEnd pass_over_tokens(sae::ScoreSums& sums) {
    std::unique_ptr<Checkpoints> checkpoints;
    const std::array<Checkpointable*, 1> objects = {&sums};
    if (call_.run != nullptr) {
      checkpoints = std::make_unique<Checkpoints>(
          call_.run->checkpoint_folder(), call_.common.checkpoint().keep(), *world_.control, call_.log);
      if (checkpoints->load(objects)) sums.after_load();
      call_.run->begin_attempt("block", sums.blocks_done());
    }
    CheckpointSchedule schedule(call_.common.checkpoint(), call_.common.stop_before());
    schedule.saved(sums.blocks_done());
    Progress progress(progress_style(call_.common.progress(), world_.rank()), "token");
    const auto start = std::chrono::steady_clock::now();
    const int64_t first_token = blocks_[static_cast<size_t>(sums.blocks_done())];
    sae::ScorePass pass{.dictionary = &dictionary_,
                        .source = source_.get(),
                        .marker = &*marker_,
                        .blocks = blocks_,
                        .world = &world_,
                        .grid = &grid_,
                        .virtual_shards = virtual_shards_};
    if (keeps_codes()) {
      if (world_.rank() == 0) make_directory(codes_folder());
      world_.control->barrier();
      pass.encoded = [&](const sae::EncodedBlock& block) {
        sae::write_code_block(codes_folder(), block, grid_.dictionary->rank(), grid_.dictionary->size());
      };
    }
    pass.stop_wanted = [&] { return stop_requested() || (world_.rank() == 0 && schedule.stop_due()); };
    pass.save_due = [&](int64_t done) { return checkpoints != nullptr && schedule.due(done); };
    pass.save = [&] {
      if (checkpoints == nullptr) return;
      const CheckpointPoint point{.step = sums.blocks_done(), .values = {}};
      if (checkpoints->save(point, objects)) schedule.saved(sums.blocks_done());
    };
    pass.shown = [&](int64_t done) {
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
      const int64_t tokens = blocks_[static_cast<size_t>(done)];
      const double rate = static_cast<double>(tokens - first_token) / elapsed.count();
      progress.show({.done = tokens,
                     .total = blocks_.back(),
                     .text = "",
                     .tokens_per_second = rate,
                     .seconds_left = static_cast<double>(blocks_.back() - tokens) / rate});
    };
    const sae::ScorePassEnd end = sae::run_score_pass(pass, sums, memory_);
    seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    scored_tokens_ = blocks_[static_cast<size_t>(sums.blocks_done())] - first_token;
    return end;
  }

  [[nodiscard]] LatentScores scores_of(const sae::LatentTotals& totals) const {
    sae::ReasonScores reason = sae::reason_scores(totals.windows(), {.alpha = own_.alpha()});
    LatentScores scores{.score = std::move(reason.score), .entropy = std::move(reason.entropy), .best = {}};
    if (own_.selection() == "difference") scores.score = sae::score_differences(totals.windows());
    scores.best = sae::best_latents(scores.score, own_.top(), own_.quantile());
    return scores;
  }

  void write_files(const LatentScores& scores, const sae::LatentTotals& totals) const {
    if (world_.rank() != 0) return;
    write_scores(call_.run->file("scores.safetensors"), scores, totals, *marker_);
    std::string lines;
    for (const json::value& feature : features_json(scores, totals, *marker_)) {
      lines += json::serialize(feature) + "\n";
    }
    replace_file(call_.run->file("features.jsonl"), lines);
  }

  [[nodiscard]] std::string codes_folder() const { return call_.run->file("codes"); }

  // Collective.
  void write_contexts(const LatentScores& scores, const sae::LatentTotals& totals) {
    const ShownLatents shown{.config = &own_,
                             .dictionary = &dictionary_,
                             .source = source_.get(),
                             .tokenizer = tokenizer_.get(),
                             .codes_folder = codes_folder(),
                             .blocks = static_cast<int64_t>(blocks_.size()) - 1,
                             .rows = blocks_.back()};
    const std::string lines = contexts_of_scores(shown, scores, totals, world_, grid_);
    agree(*world_.control, "write the contexts", [&] {
      if (world_.rank() == 0) replace_file(call_.run->file("contexts.jsonl"), lines);
    });
  }

  [[nodiscard]] json::object result_of(const LatentScores& scores, const sae::LatentTotals& totals) const {
    const int64_t model_tokens = world_.control->sum(source_->model_tokens());
    int64_t fired = 0;
    for (const int64_t count : totals.fired) fired += count;
    json::object result = {
        {"sae", own_.sae()},
        {"source", source_->identity()},
        {"latents", totals.latents},
        {"tokens", blocks_.back()},
        {"counted_tokens", totals.tokens()},
        {"selection", own_.selection()},
        {"alpha", own_.alpha()},
        {"window", {{"left", score_window(own_).left}, {"right", score_window(own_).right}}},
        {"l0", static_cast<double>(fired) / static_cast<double>(totals.tokens())},
        {"features", features_json(scores, totals, *marker_)},
        {"seconds", seconds_},
        {"tokens_per_second", static_cast<double>(scored_tokens_) / seconds_}};
    for (const auto& [name, value] : windows_json(totals, *marker_)) result[name] = value;
    // Of this attempt: the model sees no token twice.
    if (model_tokens > 0) {
      result["model_passes"] = static_cast<double>(model_tokens) / static_cast<double>(scored_tokens_);
    }
    return result;
  }

  Invocation& call_;
  const Score& own_;
  World& world_;
  int virtual_shards_;
  Grid grid_;
  Memory memory_;
  sae::Dictionary dictionary_;  // this rank's slice
  std::unique_ptr<models::Tokenizer> tokenizer_;
  std::optional<sae::WindowMarker> marker_;
  std::unique_ptr<ActivationSource> source_;
  std::vector<int64_t> blocks_;
  double seconds_ = 0.0;       // of this attempt
  int64_t scored_tokens_ = 0;  // by this attempt
};

ExitCode run_score(Invocation& invocation) {
  return Scorer(invocation).run();
}

std::string table_of(const json::value& result) {
  const json::object& all = result.as_object();
  json::object numbers = all;
  numbers.erase("features");
  std::string text = plain_table(numbers);
  text += fmt::format("\n{:>8} {:>12} {:>8} {:>11} {:>11} {:>9}\n", "latent", "score", "entropy", "near",
                      "far", "density");
  for (const json::value& each : all.at("features").as_array()) {
    const auto number = [&](const char* name) { return each.at(name).to_number<double>(); };
    text += fmt::format("{:>8} {:>12.4e} {:>8.4f} {:>11.4e} {:>11.4e} {:>9.5f}\n",
                        each.at("latent").as_int64(), number("score"), number("entropy"), number("near_mean"),
                        number("far_mean"), number("density"));
  }
  return text;
}

}  // namespace

Verb score_verb() {
  return {.name = "score",
          .summary = "score all latents of a dictionary by the words they fire near, in one pass",
          .schema = Score::descriptor(),
          .run_use = RunUse::kOptional,
          .run = run_score,
          .table = table_of};
}

}  // namespace orthant::launch
