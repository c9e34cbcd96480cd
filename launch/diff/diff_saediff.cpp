// `orthant diff saediff`: what the latents of a dictionary trained on the difference of two sources stand
// for.

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value_from.hpp>
#include <cmath>
#include <numeric>

#include "launch/config.pb.h"
#include "launch/diff/diff_source.h"
#include "launch/program/refuse.h"
#include "launch/program/required_field.h"
#include "launch/program/result.h"
#include "launch/program/verb.h"
#include "runtime/comm/world.h"
#include "runtime/job/run_directory.h"
#include "runtime/storage/safetensors.h"
#include "sae/diffing/difference.h"
#include "sae/exchange/load_dictionary.h"
#include "sae/measure/histogram.h"
#include "sae/measure/reconstruction_quality.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

json::object definitions() {
  return {{"relative_difference",
           "sum of |B - A|^2 over the root of (sum of |A|^2 times sum of |B|^2); A is the "
           "first store, B the second"},
          {"explained_variance", "of B - A: 1 - mean |x - xhat|^2 / mean |x - mean x|^2"},
          {"share", "|d|^2 sum f^2 / sum |B - A|^2: the part of the difference that a latent writes"},
          {"beta_first, beta_second", "argmin over rows of |beta f d - y|^2 with y = A, B"}};
}

json::object histogram_json(const sae::Histogram& histogram) {
  return {{"edges", json::value_from(histogram.edges)}, {"counts", json::value_from(histogram.counts)}};
}

// One measurement on this rank.
class SaeDiff {
 public:
  explicit SaeDiff(Invocation& invocation)
      : call_(invocation), own_(invocation.own<DiffSaediff>()), shards_(*invocation.world.data) {}

  ExitCode run() {
    agree(*call_.world.control, "open the dictionary", [&] { open(); });
    const auto joined = open_pair(call_, own_.source(), "join", 2 * file_.dictionary.d_model, memory_);
    const auto difference = open_pair(call_, own_.source(), "difference", file_.dictionary.d_model, memory_);
    const Split split = measured_split(*joined);
    found_ = sae::difference_latents(file_.dictionary, *joined, split, own_.rows(), call_.world);
    Grid grid = make_grid(*call_.world.data, {1, call_.world.size()});
    const sae::ReconstructionQuality quality =
        sae::measure_reconstruction(file_.dictionary, *difference, split, found_.rows, grid, 0);
    agree(*call_.world.control, "write the latents", [&] { write_latents(); });
    return call_.finish(result_of(quality));
  }

 private:
  void open() {
    file_ = sae::load_dictionary(required_field("sae", own_.sae()), memory_, shards_.size(), shards_.rank());
    const sae::Dictionary& d = file_.dictionary;
    if (d.sources > 1) {
      refuse("the dictionary is a crosscoder", "a dictionary of a difference is asked for",
             "Use orthant diff crosscoder.");
    }
    if (d.input_scaling == sae::InputScaling::kLayerNorm || d.input_scaling == sae::InputScaling::kWhiten ||
        d.input_scaling == sae::InputScaling::kConstantNormRescale) {
      refuse(fmt::format("the dictionary was trained with normalize_activations = {}",
                         sae::name_of(d.input_scaling)),
             "the scale of a difference then differs from that of its sources",
             "Train it with unit_mean_square, expected_average_only_in or none.");
    }
    if (d.latents < shards_.size()) {
      refuse(fmt::format("{} ranks share {} latents", shards_.size(), d.latents),
             "every rank holds at least one", "Use fewer ranks.");
    }
  }

  [[nodiscard]] double density(size_t latent) const {
    return static_cast<double>(found_.firings[latent]) /
           static_cast<double>(std::max<int64_t>(found_.rows, 1));
  }

  [[nodiscard]] json::object result_of(const sae::ReconstructionQuality& quality) const {
    const double sizes = std::sqrt(found_.squares_a * found_.squares_b);
    json::object result = {{"sae", own_.sae()},
                           {"measured_rows", found_.rows},
                           {"relative_difference", sizes > 0.0 ? found_.squares_difference / sizes : 0.0},
                           {"explained_variance", quality.explained_variance},
                           {"l0", quality.l0},
                           {"dead_fraction", 1.0 - quality.alive_fraction}};
    std::vector<float> densities;
    for (size_t i = 0; i < found_.firings.size(); ++i) densities.push_back(static_cast<float>(density(i)));
    std::vector<float> betas_a, betas_b;
    for (size_t i = 0; i < found_.firings.size(); ++i) {
      if (found_.firings[i] == 0) continue;
      betas_a.push_back(found_.beta_a[i]);
      betas_b.push_back(found_.beta_b[i]);
    }
    result["log10_density"] = histogram_json(sae::log10_density_histogram(densities));
    result["beta_first"] = histogram_json(sae::histogram_of(betas_a, -2.0, 2.0, own_.bins()));
    result["beta_second"] = histogram_json(sae::histogram_of(betas_b, -2.0, 2.0, own_.bins()));
    result["top"] = top_latents();
    result["definitions"] = definitions();
    return result;
  }

  [[nodiscard]] json::array top_latents() const {
    std::vector<size_t> order(found_.share.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return found_.share[a] > found_.share[b]; });
    json::array top;
    for (const size_t i : order) {
      if (static_cast<int64_t>(top.size()) == own_.top() || found_.firings[i] == 0) break;
      top.push_back(json::object{{"latent", i},
                                 {"density", density(i)},
                                 {"share", found_.share[i]},
                                 {"beta_first", found_.beta_a[i]},
                                 {"beta_second", found_.beta_b[i]}});
    }
    return top;
  }

  void write_latents() const {
    if (call_.run == nullptr || call_.world.rank() != 0) return;
    const auto latents = static_cast<int64_t>(found_.share.size());
    write_safetensors(call_.run->file("latents.safetensors"),
                      {{"firings", Dtype::kI64, {latents}, found_.firings.data()},
                       {"share", Dtype::kF32, {latents}, found_.share.data()},
                       {"beta_first", Dtype::kF32, {latents}, found_.beta_a.data()},
                       {"beta_second", Dtype::kF32, {latents}, found_.beta_b.data()}});
  }

  Invocation& call_;
  const DiffSaediff& own_;
  Communicator& shards_;
  Memory memory_;
  sae::DictionaryFile file_;
  sae::DifferenceLatents found_;
};

ExitCode run_saediff(Invocation& invocation) {
  return SaeDiff(invocation).run();
}

// A line for each of the top latents; histograms are for plots.
std::string table_of(const json::value& result) {
  json::object shown = result.as_object();
  const json::array top = shown.at("top").as_array();
  for (const char* name : {"definitions", "top", "log10_density", "beta_first", "beta_second"})
    shown.erase(name);
  std::string text = plain_table(shown);
  text +=
      fmt::format("\n{:>8}{:>11}{:>11}{:>11}{:>11}\n", "latent", "density", "share", "beta 1st", "beta 2nd");
  for (const json::value& row : top) {
    const auto number = [&](const char* name) { return row.at(name).to_number<double>(); };
    text += fmt::format("{:>8}{:>11.3g}{:>11.3g}{:>11.3f}{:>11.3f}\n", row.at("latent").to_number<int64_t>(),
                        number("density"), number("share"), number("beta_first"), number("beta_second"));
  }
  return text;
}

}  // namespace

Verb diff_saediff_verb() {
  return {
      .name = "diff saediff",
      .summary = "what latents of a dictionary of differences stand for: share, and scaling to both sources",
      .schema = DiffSaediff::descriptor(),
      .run_use = RunUse::kOptional,
      .run = run_saediff,
      .table = table_of};
}

}  // namespace orthant::launch
