// `orthant score`: which latents fire near the words of a vocabulary, all of them in one pass.

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <memory>

#include "launch/config.pb.h"
#include "launch/program/refuse.h"
#include "launch/program/required_field.h"
#include "launch/program/result.h"
#include "launch/program/verb.h"
#include "launch/program/virtual_shards.h"
#include "launch/score/attended_pass.h"
#include "launch/score/score_contexts.h"
#include "launch/score/score_exports.h"
#include "launch/score/score_files.h"
#include "launch/score/score_injection.h"
#include "launch/score/score_inputs.h"
#include "launch/score/score_vocabulary.h"
#include "launch/source/open_source.h"
#include "models/transformer/live_source.h"
#include "runtime/job/run_directory.h"
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
    std::optional<sae::PooledMoments> pooled;
    if (compares_snippets()) {
      pooled.emplace(memory_, dictionary_.latents, dictionary_.slice, own_.contrast().snippet(),
                     grid_.data->rank());
    }
    if (pass_over_tokens(sums, pooled ? &*pooled : nullptr) == sae::PassEnd::kStopped) {
      return ExitCode::kStopped;
    }
    const sae::LatentTotals totals = sums.totals(dictionary_, grid_, virtual_shards_);
    if (pooled) compared_ = pooled->totals(grid_, virtual_shards_);
    const LatentScores scores = scores_of(totals);
    json::object result = result_of(scores, totals);
    if (call_.run != nullptr) {
      agree(*world_.control, "write the scores", [&] { write_files(scores, totals); });
      write_shown(scores, totals);
      if (own_.injection().latents() > 0) {
        const InjectionOutcome outcome = inject(scores, totals);
        if (outcome.is_stopped) return ExitCode::kStopped;
        result["injection"] = outcome.result;
      }
    }
    return call_.finish(result);
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
    check_outputs();
    sae::DictionaryFile loaded =
        sae::load_dictionary(required_field("sae", own_.sae()), memory_, grid_.dictionary->size(),
                             grid_.dictionary->rank(), virtual_shards_);
    dictionary_ = std::move(loaded.dictionary);
    dictionary_.encoder_precision = kernels::precision_from_name(own_.precision());
    tokenizer_ = models::open_tokenizer(required_field("model", own_.model()), own_.tokenizer());
    marker_.emplace(read_vocabulary(required_field("vocabulary", own_.vocabulary()), *tokenizer_),
                    special_ids(own_, *tokenizer_), score_window(own_));
    const ScoredHooks hooks = scored_hooks(own_, loaded.metadata);
    check_hook(hooks);
    hook_ = hooks.of_activations.empty() ? "activations" : hooks.of_activations;
    open_activations(source);
    if (source_->d_model() != dictionary_.d_model) {
      refuse(fmt::format("the dictionary has d_model {}, the activations {}", dictionary_.d_model,
                         source_->d_model()),
             "they belong to different models or hooks",
             "Give the model that the dictionary was trained on.");
    }
  }

  // What may be asked for and cannot be given, before anything is read.
  void check_outputs() const {
    const bool wants_files = own_.injection().latents() > 0 || !own_.exports().empty();
    if (wants_files && call_.run == nullptr) {
      refuse("injection and exports need a run directory", "they are made of codes that are kept there",
             "Give --out.");
    }
    if (exports("neuronpedia") && own_.contexts().latents() == 0) {
      refuse("contexts.latents is 0 and exports has neuronpedia", "it is made of the latents' contexts",
             "Give --contexts.latents.");
    }
    if (own_.injection().latents() > 0 && !own_.contrast().has_text()) {
      refuse("there is no text to inject into", "injection.latents is given and contrast.text is not",
             "Give --contrast.text: a text without what is looked for.");
    }
  }

  void open_activations(const Source& source) {
    const kernels::Precision precision = dictionary_.encoder_precision;
    int64_t rows = own_.tokens();
    if (own_.has_store()) {
      source_ = open_source(source, call_.common.seed(), world_, memory_, memory_, call_.log, precision);
    } else {
      ScoreText text = score_text(own_, *tokenizer_, call_.log);
      rows = 0;
      scored_rows_ = text.scored_rows;
      source_ = models::open_live_source(source, std::move(text.rows), call_.common.seed(), memory_, memory_,
                                         precision);
    }
    blocks_ = sae::sequence_blocks(*source_, rows, own_.block_tokens(), scored_rows_);
    if (blocks_.size() < 2)
      refuse("there is no token to score", "the text or store is empty", "Give another.");
    if (scored_rows_ == 0) scored_rows_ = blocks_.back();
    scored_blocks_ = std::lower_bound(blocks_.begin(), blocks_.end(), scored_rows_) - blocks_.begin();
  }

  // Whether snippets are compared: of the text with the contrast, or with a word and without.
  [[nodiscard]] bool compares_snippets() const {
    return own_.selection() == "cohen" || own_.contrast().has_text();
  }
  [[nodiscard]] bool exports(std::string_view format) const {
    return std::find(own_.exports().begin(), own_.exports().end(), format) != own_.exports().end();
  }
  // Whether the codes of the scored text are kept.
  [[nodiscard]] bool keeps_codes() const {
    return call_.run != nullptr &&
           (own_.contexts().latents() > 0 || own_.injection().latents() > 0 || !own_.exports().empty());
  }

  void check_hook(const ScoredHooks& hooks) const {
    if (!hooks.differ()) return;
    const std::string problem = fmt::format("the dictionary was trained on {}, the activations are of {}",
                                            hooks.of_dictionary, hooks.of_activations);
    if (!own_.force())
      refuse(problem, "its latents mean nothing elsewhere", "Give the other hook, or --force.");
    call_.log.warning("{}", problem);
  }

  sae::PassEnd pass_over_tokens(sae::ScoreSums& sums, sae::PooledMoments* pooled) {
    std::vector<Checkpointable*> objects = {&sums};
    if (pooled != nullptr) objects.push_back(pooled);
    AttendedPass attended(call_, call_.run == nullptr ? "" : call_.run->checkpoint_folder(), objects);
    if (attended.load()) {
      sums.after_load();
      if (pooled != nullptr) pooled->after_load();
    }
    const int64_t first = sums.blocks_done();
    if (call_.run != nullptr) call_.run->begin_attempt("block", first);
    sae::CodePass pass{.dictionary = &dictionary_,
                       .source = source_.get(),
                       .blocks = blocks_,
                       .world = &world_,
                       .grid = &grid_,
                       .virtual_shards = virtual_shards_};
    if (keeps_codes()) {
      if (world_.rank() == 0) make_directory(codes_folder());
      world_.control->barrier();
      pass.encoded = [&](const sae::EncodedBlock& block) {
        if (block.index >= scored_blocks_) return;
        sae::write_code_block(codes_folder(), block, grid_.dictionary->rank(), grid_.dictionary->size());
      };
    }
    const int64_t scored_rows = own_.contrast().has_text() ? scored_rows_ : 0;
    const sae::PassEnd end = attended.run(
        pass, first, [&] { return sums.blocks_done(); },
        [&](const sae::CodePass& codes) {
          return sae::run_score_pass({.codes = codes, .marker = &*marker_, .scored_rows = scored_rows}, sums,
                                     pooled, memory_);
        });
    seconds_ = attended.seconds();
    passed_rows_ = attended.rows();
    return end;
  }

  [[nodiscard]] LatentScores scores_of(const sae::LatentTotals& totals) const {
    sae::ReasonScores reason = sae::reason_scores(totals.windows(), {.alpha = own_.alpha()});
    LatentScores scores{
        .score = std::move(reason.score), .entropy = std::move(reason.entropy), .cohens_d = {}, .best = {}};
    if (own_.selection() == "difference") scores.score = sae::score_differences(totals.windows());
    if (compares_snippets()) scores.cohens_d = sae::cohens_d(compared_);
    if (own_.selection() == "cohen") scores.score = scores.cohens_d;
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

  [[nodiscard]] ScoredCodes scored_codes() const {
    return {.config = &own_,
            .dictionary = &dictionary_,
            .source = source_.get(),
            .tokenizer = tokenizer_.get(),
            .codes_folder = codes_folder(),
            .blocks = scored_blocks_,
            .rows = scored_rows_,
            .seed = call_.common.seed()};
  }

  // Contexts and exports. Collective.
  void write_shown(const LatentScores& scores, const sae::LatentTotals& totals) {
    const ScoredCodes codes = scored_codes();
    if (own_.contexts().latents() > 0) {
      const std::vector<LatentCard> cards = cards_of_scores(codes, scores, totals, world_, grid_);
      agree(*world_.control, "write the contexts", [&] {
        if (world_.rank() != 0) return;
        replace_file(call_.run->file("contexts.jsonl"), lines_of_cards(cards, *tokenizer_));
        if (exports("neuronpedia")) write_neuronpedia(codes, hook_, cards, call_.run->file("neuronpedia"));
      });
    }
    if (exports("delphi")) write_delphi(codes, hook_, call_.run->file("delphi"), world_);
  }

  // Collective. The source is closed on the way: its model makes room for that of the injection.
  [[nodiscard]] InjectionOutcome inject(const LatentScores& scores, const sae::LatentTotals& totals) {
    ScoredCodes codes = scored_codes();
    const InjectionPlan plan = plan_injection(codes, scores, world_);
    source_.reset();
    codes.source = nullptr;
    InjectionOutcome outcome = run_injection(plan, codes, totals, call_, grid_, virtual_shards_,
                                             call_.run->file("injection_checkpoint"));
    agree(*world_.control, "write the injection", [&] {
      if (world_.rank() == 0 && !outcome.is_stopped) {
        replace_file(call_.run->file("injection.jsonl"), outcome.lines);
      }
    });
    return outcome;
  }

  [[nodiscard]] json::object result_of(const LatentScores& scores, const sae::LatentTotals& totals) const {
    const int64_t model_tokens = world_.control->sum(source_->model_tokens());
    int64_t fired = 0;
    for (const int64_t count : totals.fired) fired += count;
    json::object result = {
        {"sae", own_.sae()},
        {"source", source_->identity()},
        {"latents", totals.latents},
        {"tokens", scored_rows_},
        {"counted_tokens", totals.tokens()},
        {"selection", own_.selection()},
        {"alpha", own_.alpha()},
        {"window", {{"left", score_window(own_).left}, {"right", score_window(own_).right}}},
        {"l0", static_cast<double>(fired) / static_cast<double>(totals.tokens())},
        {"features", features_json(scores, totals, *marker_)},
        {"seconds", seconds_},
        {"tokens_per_second", static_cast<double>(passed_rows_) / seconds_}};
    for (const auto& [name, value] : windows_json(totals, *marker_)) result[name] = value;
    if (compares_snippets()) {
      result["snippets"] = {
          {"tokens", own_.contrast().snippet()},
          {own_.contrast().has_text() ? "text" : "with_word", compared_.snippets[0]},
          {own_.contrast().has_text() ? "contrast" : "without_word", compared_.snippets[1]}};
    }
    // Of this attempt: the model sees no token twice.
    if (model_tokens > 0) {
      result["model_tokens"] = model_tokens;
      result["model_passes"] = static_cast<double>(model_tokens) / static_cast<double>(passed_rows_);
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
  std::string hook_;  // of the activations
  std::vector<int64_t> blocks_;
  int64_t scored_rows_ = 0;    // of the text; the contrast lies behind
  int64_t scored_blocks_ = 0;  // that hold them
  sae::PooledTotals compared_;
  double seconds_ = 0.0;     // of this attempt
  int64_t passed_rows_ = 0;  // by this attempt
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
