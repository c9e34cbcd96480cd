// `orthant diff match`: which latent of one dictionary is which of another, by their decoder rows, and how
// alike the two of a pair fire.

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value_from.hpp>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>

#include "launch/config.pb.h"
#include "launch/diff/chosen_latents.h"
#include "launch/diff/diff_table.h"
#include "launch/diff/paired_rows.h"
#include "launch/program/block_work.h"
#include "launch/program/refuse.h"
#include "launch/program/result.h"
#include "runtime/comm/self.h"
#include "sae/dictionary/inference.h"
#include "sae/diffing/matching.h"
#include "sae/diffing/matching_score.h"
#include "sae/exchange/load_dictionary.h"
#include "sae/measure/neighbour_cosines.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

constexpr int kBins = 40;  // of histograms from 0 to 1

double share(int64_t count, size_t of) {
  return static_cast<double>(count) / static_cast<double>(std::max<size_t>(of, 1));
}

template <typename T>
std::vector<T> of_latents(const std::vector<T>& values, const std::vector<int64_t>& latents) {
  std::vector<T> chosen;
  for (const int64_t latent : latents) chosen.push_back(values[static_cast<size_t>(latent)]);
  return chosen;
}

// Encodes the same tokens by both dictionaries, block by block, on this rank.
class PairEncoder {
 public:
  PairEncoder(const sae::Dictionary& reference, const sae::Dictionary& other, PairedRows& rows,
              Memory& memory)
      : rows_(&rows),
        self_(make_self_communicator()),
        x_(memory, "rows", {largest(rows), reference.d_model}),
        y_(memory, "rows", {largest(rows), other.d_model}),
        reference_(memory, reference, largest(rows), *self_, 0),
        other_(memory, other, largest(rows), *self_, 0) {}

  // Codes of the block's rows that count.
  void encode(int64_t block, sae::MatchingSums& sums) {
    const PairedBlock found = rows_->read(block);
    const auto count = static_cast<int64_t>(found.counted.size());
    if (count == 0) return;
    gather(found.first.front(), found.counted, x_.view());
    // Without another side both encode the same rows.
    gather(found.other.empty() ? found.first.front() : found.other.front(), found.counted, y_.view());
    const kernels::CodesView codes = reference_.encode(x_.view().rows(0, count));
    sums.take(codes, other_.encode(y_.view().rows(0, count)));
  }

 private:
  static int64_t largest(const PairedRows& rows) {
    int64_t most = 1;
    for (size_t b = 1; b < rows.offsets.size(); ++b)
      most = std::max(most, rows.offsets[b] - rows.offsets[b - 1]);
    return most;
  }
  static void gather(Matrix<const float> from, const std::vector<int64_t>& rows, Matrix<float> into) {
    for (size_t i = 0; i < rows.size(); ++i) {
      std::copy_n(from.row(rows[i]), from.shape[1], into.row(static_cast<int64_t>(i)));
    }
  }

  PairedRows* rows_;
  std::unique_ptr<Communicator> self_;
  Tensor<float, 2> x_, y_;
  sae::Inference reference_, other_;
};

// One matching on this rank.
class MatchJob {
 public:
  explicit MatchJob(Invocation& invocation) : call_(invocation), own_(invocation.own<DiffMatch>()) {}

  ExitCode run() {
    // Every rank has the whole of both and finds the same.
    agree(*call_.world.control, "match the dictionaries", [&] {
      open();
      match_ = sae::match_dictionaries(reference_, other_, own_.candidates(), own_.epsilon());
    });
    if (has_rows() && !score_pairs()) return ExitCode::kStopped;
    return call_.finish(result());
  }

 private:
  // Whether there are activations for the matching score.
  [[nodiscard]] bool has_rows() const { return own_.has_text() || !own_.store().empty(); }

  void open() {
    reference_ = load("reference", own_.reference());
    other_ = load("other", own_.other());
    if (reference_.d_model != other_.d_model) {
      refuse(fmt::format("the reference has d_model {}, the other {}", reference_.d_model, other_.d_model),
             "their latents are no directions of the same space", "Match dictionaries of the same width.");
    }
    const std::vector<int64_t> latents(own_.latents().begin(), own_.latents().end());
    chosen_ = chosen_latents(latents, own_.features(), reference_.latents);
    if (!chosen_.empty())
      random_ = other_latents(chosen_, reference_.latents, own_.random(), call_.common.seed());
    if (has_rows()) open_rows();
    if (!has_rows() && own_.has_model())
      refuse("a model is given and no text", "the matching score is over the tokens of a text",
             "Give --text.");
  }

  [[nodiscard]] sae::Dictionary load(const char* field, const std::string& path) {
    sae::DictionaryFile loaded = sae::load_dictionary(required_field(field, path), memory_);
    loaded.dictionary.encoder_precision = kernels::precision_from_name(own_.precision());
    for (const char* const name : {"hook_name", "hook"}) {
      if (const auto found = loaded.metadata.find(name); found != loaded.metadata.end()) {
        trained_on_[field] = found->second;
      }
    }
    return std::move(loaded.dictionary);
  }

  // Warns where a dictionary was trained on another hook than that of the rows that it encodes.
  void check_hook(const char* field, const std::string& hook) const {
    const auto trained_on = trained_on_.find(field);
    if (trained_on == trained_on_.end() || trained_on->second == hook) return;
    call_.log.warning("the dictionary of --{} was trained on {} and encodes {}", field, trained_on->second,
                      hook);
  }

  void open_rows() {
    PairedRowFields fields = paired_row_fields(own_);
    fields.has_other = own_.has_other_model() || !own_.other_hook().empty() || !own_.other_store().empty();
    if (fields.stores.empty() && fields.hooks.size() != 1) {
      refuse(fmt::format("{} hooks are given", fields.hooks.size()), "the reference encodes one",
             "Give --hook.");
    }
    rows_.emplace(open_paired_rows(fields, memory_, call_.log));
    const PairedPlace& place = rows_->places.front();
    if (rows_->places.size() != 1)
      refuse("several stores are given", "the reference encodes one", "Give one --store.");
    const int64_t other_width = fields.has_other ? place.other_width : place.width;
    check_hook("reference", place.name);
    check_hook("other", fields.has_other ? place.other_name : place.name);
    if (place.width == reference_.d_model && other_width == other_.d_model) return;
    refuse(fmt::format("the dictionaries have d_model {}, the activations {} and {}", reference_.d_model,
                       place.width, other_width),
           "they belong to different models", "Give the activations that the dictionaries were trained on.");
  }

  // Collective. False where it was stopped.
  bool score_pairs() {
    sae::MatchingSums sums(match_.assignment.column, other_.latents, call_.world.rank());
    PairEncoder encoder(reference_, other_, *rows_, memory_);
    const BlockWorkDone done = run_blocks(call_, {.offsets = rows_->offsets,
                                                  .state = {&sums.state()},
                                                  .take = [&](int64_t block) { encoder.encode(block, sums); },
                                                  .add = [&](auto) { sums.add(*call_.world.data); }});
    scores_ = sums.scores();
    return !done.stopped;
  }

  // What the latents of one group have in common with their pairs.
  [[nodiscard]] json::object group_json(const char* name, const std::vector<int64_t>& latents) const {
    const std::vector<float> cosines = of_latents(match_.cosine, latents);
    const auto above =
        std::count_if(cosines.begin(), cosines.end(), [&](float c) { return c >= own_.threshold(); });
    const std::vector<bool> mutual = of_latents(match_.mutually_nearest, latents);
    json::object group = {
        {"group", name},
        {"latents", latents.size()},
        {"mean_cosine", sae::mean_of(cosines)},
        {"share_at_threshold", share(above, latents.size())},
        {"mutually_nearest_share", share(std::count(mutual.begin(), mutual.end(), true), latents.size())}};
    if (!scores_) return group;
    const std::vector<double> scores = of_latents(scores_->score, latents);
    const sae::MatchingShares shares = sae::matching_shares(scores);
    const double count = std::max<double>(1.0, static_cast<double>(scores.size()));
    group["mean_matching_score"] = std::accumulate(scores.begin(), scores.end(), 0.0) / count;
    group["same"] = shares.same;
    group["maybe"] = shares.maybe;
    group["different"] = shares.different;
    group["same_stderr"] = std::sqrt(shares.same * (1.0 - shares.same) / count);
    return group;
  }

  [[nodiscard]] json::array groups() const {
    std::vector<int64_t> all(static_cast<size_t>(reference_.latents));
    std::iota(all.begin(), all.end(), int64_t{0});
    json::array groups = {group_json("all", all)};
    if (!chosen_.empty()) groups.push_back(group_json("chosen", chosen_));
    if (!random_.empty()) groups.push_back(group_json("random", random_));
    return groups;
  }

  void add_scores(json::object& result) const {
    const std::vector<float> scores(scores_->score.begin(), scores_->score.end());
    result["source"] = rows_->identity;
    result["tokens"] = rows_->offsets.back();
    result["matching_score"] = json::value_from(scores_->score);
    result["matching_score_histogram"] =
        histogram_json(sae::histogram_of(scores, 0.0, 1.0, kBins), "matching score");
    result["fired"] = json::value_from(scores_->fired);
    result["assigned_fired"] = json::value_from(scores_->partner);
    result["both_fired"] = json::value_from(scores_->both);
  }

  [[nodiscard]] json::object result() const {
    const sae::Assignment& assignment = match_.assignment;
    const auto mutual = std::count(match_.mutually_nearest.begin(), match_.mutually_nearest.end(), true);
    const auto above = std::count_if(match_.cosine.begin(), match_.cosine.end(),
                                     [&](float c) { return c >= own_.threshold(); });
    const auto latents = static_cast<size_t>(reference_.latents);
    json::array mutually_nearest;
    for (const bool is_mutual : match_.mutually_nearest) mutually_nearest.emplace_back(is_mutual);
    json::object result = {
        {"reference", own_.reference()},
        {"other", own_.other()},
        {"latents", latents},
        {"pairs", reference_.latents - std::count(assignment.column.begin(), assignment.column.end(), -1)},
        {"mean_cosine", sae::mean_of(match_.cosine)},
        {"share_at_threshold", share(above, latents)},
        {"mutually_nearest_share", share(mutual, latents)},
        {"mean_nearest_cosine", sae::mean_of(match_.nearest_cosine)},
        {"sum", assignment.sum},
        {"gap_of_candidates", assignment.bound - assignment.sum},
        {"gap_of_all_pairs", assignment.bound_of_all_pairs - assignment.sum},
        {"assigned", json::value_from(assignment.column)},
        {"cosine", json::value_from(match_.cosine)},
        {"nearest", json::value_from(match_.nearest)},
        {"mutually_nearest", mutually_nearest},
        {"cosine_histogram",
         histogram_json(sae::histogram_of(match_.cosine, 0.0, 1.0, kBins), "cosine of a pair")}};
    if (scores_) add_scores(result);
    if (!chosen_.empty()) result["chosen_latents"] = json::value_from(chosen_);
    if (!random_.empty()) result["random_latents"] = json::value_from(random_);
    result["groups"] = groups();
    return result;
  }

  Invocation& call_;
  const DiffMatch& own_;
  Memory memory_;
  sae::Dictionary reference_;
  sae::Dictionary other_;
  std::map<std::string, std::string> trained_on_;  // hooks of both, by field, where their files say
  sae::DictionaryMatch match_;
  std::vector<int64_t> chosen_;
  std::vector<int64_t> random_;
  std::optional<PairedRows> rows_;
  std::optional<sae::MatchingScores> scores_;
};

ExitCode run_match(Invocation& invocation) {
  return MatchJob(invocation).run();
}

std::string table_of(const json::value& result) {
  json::object numbers = result.as_object();
  const json::array groups = numbers.at("groups").as_array();
  for (const char* const name : {"groups", "cosine_histogram", "matching_score_histogram"})
    numbers.erase(name);
  return plain_table(numbers) + "\n" + columns_table(groups);
}

}  // namespace

Verb diff_match_verb() {
  return {
      .name = "diff match",
      .summary =
          "match the latents of two dictionaries one to one by their cosines, and score how alike they fire",
      .schema = DiffMatch::descriptor(),
      .run_use = RunUse::kOptional,
      .run = run_match,
      .table = table_of};
}

}  // namespace orthant::launch
