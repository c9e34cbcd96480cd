// `orthant diff presence`: whether latents of one dictionary are in others, at any number.

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value_from.hpp>
#include <set>

#include "launch/config.pb.h"
#include "launch/diff_table.h"
#include "launch/required_field.h"
#include "launch/verb.h"
#include "runtime/core/rng.h"
#include "runtime/storage/file.h"
#include "sae/diffing/nearest_latents.h"
#include "sae/exchange/load_dictionary.h"
#include "sae/scoring/unit_directions.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

std::vector<int64_t> latents_of_features(const std::string& run) {
  std::vector<int64_t> latents;
  const json::value result = json::parse(read_file(run + "/result.json"));
  const json::value* const features = result.as_object().if_contains("features");
  if (features == nullptr) {
    throw Error(ExitCode::kData, {.problem = fmt::format("{} chose no latents", run),
                                  .why = "its result has no features",
                                  .suggestion = "Give a finished run of orthant score, or --latents."});
  }
  for (const json::value& feature : features->as_array()) latents.push_back(feature.at("latent").as_int64());
  return latents;
}

std::vector<int64_t> asked_latents(const DiffPresence& own, int64_t latents) {
  std::vector<int64_t> asked(own.latents().begin(), own.latents().end());
  if (asked.empty() && own.has_features()) asked = latents_of_features(own.features());
  if (asked.empty() && !own.has_features()) {
    for (int64_t i = 0; i < latents; ++i) asked.push_back(i);
  }
  for (const int64_t latent : asked) {
    if (latent >= 0 && latent < latents) continue;
    throw Error(ExitCode::kConfig, {.problem = fmt::format("the reference has no latent {}", latent),
                                    .why = fmt::format("it has {}, counted from 0", latents),
                                    .suggestion = "Give latents of the reference."});
  }
  return asked;
}

// Different latents that were not asked for; fewer where there are fewer.
std::vector<int64_t> other_latents(const std::vector<int64_t>& asked, int64_t latents, int64_t count,
                                   uint64_t seed) {
  std::set<int64_t> taken(asked.begin(), asked.end());
  count = std::min(count, latents - static_cast<int64_t>(taken.size()));
  std::vector<int64_t> others;
  for (uint64_t draw = 0; static_cast<int64_t>(others.size()) < count; ++draw) {
    const auto latent = static_cast<int64_t>(random_u64(seed, Purpose::kRandomDictionary, 1, draw) %
                                             static_cast<uint64_t>(latents));
    if (taken.insert(latent).second) others.push_back(latent);
  }
  return others;
}

// One comparison on this rank.
class Presence {
 public:
  explicit Presence(Invocation& invocation)
      : call_(invocation), own_(invocation.own<DiffPresence>()), shards_(*invocation.world.data) {}

  ExitCode run() {
    open_reference();
    json::array stages;
    for (const std::string& path : own_.stages()) stages.push_back(compare(path));
    return call_.finish(json::object{{"reference", own_.reference()},
                                     {"threshold", own_.threshold()},
                                     {"latents", json::value_from(asked_)},
                                     {"random_latents", json::value_from(others_)},
                                     {"stages", stages}});
  }

 private:
  void open_reference() {
    if (own_.stages().empty()) {
      throw Error(ExitCode::kConfig, {.problem = "no stage is given",
                                      .why = "latents are looked for in other dictionaries",
                                      .suggestion = "Give --stages=SAE,SAE."});
    }
    sae::Dictionary reference;
    agree(*call_.world.control, "open the reference", [&] {
      reference = load(required_field("reference", own_.reference()));
      asked_ = asked_latents(own_, reference.latents);
    });
    others_ = other_latents(asked_, reference.latents, own_.random(), call_.common.seed());
    std::vector<int64_t> all = asked_;
    all.insert(all.end(), others_.begin(), others_.end());
    directions_ = sae::unit_directions(reference, all, shards_, memory_);
  }

  [[nodiscard]] sae::Dictionary load(const std::string& path) {
    return sae::load_dictionary(path, memory_, shards_.size(), shards_.rank()).dictionary;
  }

  [[nodiscard]] json::object compare(const std::string& path) {
    sae::Dictionary stage;
    agree(*call_.world.control, "open a stage", [&] {
      stage = load(path);
      if (stage.d_model == directions_.shape()[1]) return;
      throw Error(ExitCode::kConfig, {.problem = fmt::format("{} has d_model {}, the reference {}", path,
                                                             stage.d_model, directions_.shape()[1]),
                                      .why = "their latents are no directions of the same space",
                                      .suggestion = "Compare dictionaries of the same width."});
    });
    const sae::NearestLatents nearest = sae::nearest_latents(directions_.view(), stage, shards_);
    const std::span<const float> cosines = nearest.cosine;
    json::object found = cosines_json(cosines.first(asked_.size()), own_.threshold(), own_.bins());
    found["stage"] = path;
    found["random"] = cosines_json(cosines.subspan(asked_.size()), own_.threshold(), own_.bins());
    found["chance_largest_cosine"] = sae::chance_largest_cosine(stage.d_model, stage.latents);
    found["cosine"] = json::value_from(
        std::vector<float>(cosines.begin(), cosines.begin() + static_cast<int64_t>(asked_.size())));
    found["nearest"] = json::value_from(std::vector<int64_t>(
        nearest.latent.begin(), nearest.latent.begin() + static_cast<int64_t>(asked_.size())));
    return found;
  }

  Invocation& call_;
  const DiffPresence& own_;
  Communicator& shards_;
  Memory memory_;
  std::vector<int64_t> asked_;
  std::vector<int64_t> others_;
  Tensor<float, 2> directions_;  // [asked and others, d_model] unit rows
};

ExitCode run_presence(Invocation& invocation) {
  return Presence(invocation).run();
}

std::string table_of(const json::value& result) {
  return table_with_rows(result, "stages");
}

}  // namespace

Verb diff_presence_verb() {
  return {.name = "diff presence",
          .summary = "whether latents of a dictionary are in others: largest cosine to any latent",
          .schema = DiffPresence::descriptor(),
          .run_use = RunUse::kOptional,
          .run = run_presence,
          .table = table_of};
}

}  // namespace orthant::launch
