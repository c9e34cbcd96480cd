// `orthant diff presence`: whether latents of one dictionary are in others, at any number.

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value_from.hpp>
#include <numeric>
#include <optional>
#include <set>

#include "launch/config.pb.h"
#include "launch/diff/chosen_latents.h"
#include "launch/diff/diff_table.h"
#include "launch/diff/presence_trajectories.h"
#include "launch/program/refuse.h"
#include "launch/program/required_field.h"
#include "launch/program/result.h"
#include "launch/program/verb.h"
#include "sae/diffing/nearest_latents.h"
#include "sae/exchange/load_dictionary.h"
#include "sae/scoring/unit_directions.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

constexpr double kTold[] = {0.5, 0.6, 0.7, 0.8, 0.9};  // shares at these thresholds too

json::object shares_at(std::span<const float> cosines) {
  json::object shares;
  for (const double threshold : kTold) {
    const auto above = std::count_if(cosines.begin(), cosines.end(), [&](float c) { return c >= threshold; });
    shares[fmt::format("{}", threshold)] =
        static_cast<double>(above) / std::max<double>(1.0, static_cast<double>(cosines.size()));
  }
  return shares;
}

// One comparison on this rank.
class Presence {
 public:
  explicit Presence(Invocation& invocation)
      : call_(invocation),
        own_(invocation.own<DiffPresence>()),
        shards_(*invocation.world.data),
        names_(own_.names().empty() ? own_.stages().begin() : own_.names().begin(),
               own_.names().empty() ? own_.stages().end() : own_.names().end()) {}

  ExitCode run() {
    refuse_unfit_stages();
    const std::vector<StageChain> chains =
        parse_chains({own_.trajectories().begin(), own_.trajectories().end()}, names_);
    open_reference();
    json::object result = {{"reference", own_.reference()},
                           {"threshold", own_.threshold()},
                           {"latents", json::value_from(asked_)},
                           {"random_latents", json::value_from(others_)}};
    std::optional<double> ceiling;
    if (own_.has_second_seed()) {
      result["second_seed"] = compare(own_.second_seed(), "second seed");
      ceiling = result["second_seed"].at("share_at_threshold").to_number<double>();
    }
    json::array stages;
    StagePresences presences;
    for (int i = 0; i < own_.stages_size(); ++i) {
      json::object stage = compare(own_.stages(i), names_[static_cast<size_t>(i)], &presences);
      if (ceiling && *ceiling > 0.0) {
        stage["share_of_second_seed"] = stage["share_at_threshold"].to_number<double>() / *ceiling;
      }
      stages.push_back(std::move(stage));
    }
    result["stages"] = stages;
    if (!chains.empty()) {
      result["trajectories"] = trajectory_rows(chains, names_, presences);
      result["specific"] = specific_rows(chains, presences, asked_);
    }
    return call_.finish(result);
  }

 private:
  void refuse_unfit_stages() const {
    if (own_.stages().empty())
      refuse("no stage is given", "latents are looked for in other dictionaries", "Give --stages=SAE,SAE.");
    if (static_cast<int>(names_.size()) != own_.stages_size()) {
      refuse(fmt::format("{} names are given for {} stages", names_.size(), own_.stages_size()),
             "each stage has one", "Give as many --names as --stages, in their order.");
    }
    const std::set<std::string> different(names_.begin(), names_.end());
    if (different.size() != names_.size() && !own_.names().empty())
      refuse("two stages have the same name", "trajectories tell stages by it", "Give different --names.");
  }

  void open_reference() {
    sae::Dictionary reference;
    agree(*call_.world.control, "open the reference", [&] {
      reference = load(required_field("reference", own_.reference()));
      const std::vector<int64_t> latents(own_.latents().begin(), own_.latents().end());
      asked_ = chosen_latents(latents, own_.features(), reference.latents);
    });
    if (own_.latents().empty() && !own_.has_features()) {
      asked_.resize(static_cast<size_t>(reference.latents));
      std::iota(asked_.begin(), asked_.end(), int64_t{0});
    }
    others_ = other_latents(asked_, reference.latents, own_.random(), call_.common.seed());
    std::vector<int64_t> all = asked_;
    all.insert(all.end(), others_.begin(), others_.end());
    directions_ = sae::unit_directions(reference, all, shards_, memory_);
  }

  [[nodiscard]] sae::Dictionary load(const std::string& path) {
    return sae::load_dictionary(path, memory_, shards_.size(), shards_.rank()).dictionary;
  }

  // Adds to `presences`, where given, what is present.
  [[nodiscard]] json::object compare(const std::string& path, const std::string& name,
                                     StagePresences* presences = nullptr) {
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
    const std::span<const float> asked = cosines.first(asked_.size());
    const std::span<const float> others = cosines.subspan(asked_.size());
    if (presences != nullptr) {
      presences->asked.push_back(present(asked));
      presences->random.push_back(present(others));
    }
    json::object found = {{"name", name}, {"stage", path}};
    for (const auto& [key, value] : cosines_json(asked, own_.threshold(), own_.bins())) found[key] = value;
    found["shares_at"] = shares_at(asked);
    found["random"] = cosines_json(others, own_.threshold(), own_.bins());
    found["random"].as_object()["shares_at"] = shares_at(others);
    found["chance_largest_cosine"] = sae::chance_largest_cosine(stage.d_model, stage.latents);
    found["cosine"] = json::value_from(std::vector<float>(asked.begin(), asked.end()));
    found["nearest"] = json::value_from(std::vector<int64_t>(
        nearest.latent.begin(), nearest.latent.begin() + static_cast<int64_t>(asked_.size())));
    return found;
  }

  [[nodiscard]] std::vector<bool> present(std::span<const float> cosines) const {
    std::vector<bool> is_present;
    for (const float cosine : cosines) is_present.push_back(cosine >= own_.threshold());
    return is_present;
  }

  Invocation& call_;
  const DiffPresence& own_;
  Communicator& shards_;
  std::vector<std::string> names_;  // of the stages
  Memory memory_;
  std::vector<int64_t> asked_;
  std::vector<int64_t> others_;
  Tensor<float, 2> directions_;  // [asked and others, d_model] unit rows
};

ExitCode run_presence(Invocation& invocation) {
  return Presence(invocation).run();
}

json::object stage_line(const json::object& stage) {
  const json::object& random = stage.at("random").as_object();
  json::object line = {{"stage", stage.at("name")},
                       {"present", stage.at("share_at_threshold")},
                       {"stderr", stage.at("share_stderr")},
                       {"mean cosine", stage.at("mean")},
                       {"random present", random.at("share_at_threshold")},
                       {"random mean", random.at("mean")},
                       {"chance", stage.at("chance_largest_cosine")}};
  if (stage.contains("share_of_second_seed")) line["of second seed"] = stage.at("share_of_second_seed");
  for (const auto& [threshold, share] : stage.at("shares_at").as_object()) {
    line[fmt::format(">={}", std::string_view(threshold))] = share;
  }
  return line;
}

std::string table_of(const json::value& result) {
  json::object numbers = result.as_object();
  json::array lines;
  if (numbers.contains("second_seed")) lines.push_back(stage_line(numbers.at("second_seed").as_object()));
  for (const json::value& stage : numbers.at("stages").as_array())
    lines.push_back(stage_line(stage.as_object()));
  json::array trajectories, specific;
  if (numbers.contains("trajectories")) {
    trajectories = numbers.at("trajectories").as_array();
    specific = numbers.at("specific").as_array();
  }
  for (const char* const name : {"second_seed", "stages", "trajectories", "specific"}) numbers.erase(name);
  std::string text = plain_table(numbers) + "\n" + columns_table(lines);
  for (const json::array* const rows : {&trajectories, &specific}) {
    if (rows->empty()) continue;
    text += "\n";
    text += columns_table(*rows);
  }
  return text;
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
