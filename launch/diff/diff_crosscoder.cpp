// `orthant diff crosscoder`: which latents of a crosscoder belong to one of its two sources, and which to
// both.

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/value_from.hpp>
#include <optional>

#include "launch/config.pb.h"
#include "launch/diff/diff_source.h"
#include "launch/program/refuse.h"
#include "launch/program/required_field.h"
#include "launch/program/result.h"
#include "launch/program/verb.h"
#include "runtime/job/run_directory.h"
#include "runtime/storage/row_selection.h"
#include "runtime/storage/safetensors.h"
#include "sae/diffing/crosscoder.h"
#include "sae/exchange/load_dictionary.h"
#include "sae/measure/histogram.h"
#include "sae/measure/neighbour_cosines.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

json::object histogram_json(std::span<const float> values, double low, double high, int bins) {
  const sae::Histogram histogram = sae::histogram_of(values, low, high, bins);
  return {{"edges", json::value_from(histogram.edges)}, {"counts", json::value_from(histogram.counts)}};
}

std::vector<float> chosen(const std::vector<float>& values, const std::vector<size_t>& latents) {
  std::vector<float> of;
  for (const size_t i : latents) of.push_back(values[i]);
  return of;
}

double share_of_all(size_t part, size_t whole) {
  return static_cast<double>(part) / static_cast<double>(std::max<size_t>(whole, 1));
}

json::object definitions() {
  return {
      {"relative_norm", "|d_B| / (|d_A| + |d_B|), decoder rows in scaled activations; A is the first source"},
      {"cosine", "of d_A and d_B"},
      {"beta",
       "argmin over rows of |beta f d - y|^2 with d the row of the source with the larger norm "
       "(arXiv 2504.02922, equation 4)"},
      {"error_ratio", "beta of y = x - (xhat - f d) of the other source over that of the owner"},
      {"reconstruction_ratio", "beta of y = xhat of the other source over that of the owner"},
      {"confirmed",
       "exclusive latents that fired with both ratios below --error_ratio and "
       "--reconstruction_ratio"}};
}

// One comparison on this rank.
class CrosscoderDiff {
 public:
  explicit CrosscoderDiff(Invocation& invocation)
      : call_(invocation), own_(invocation.own<DiffCrosscoder>()), shards_(*invocation.world.data) {}

  ExitCode run() {
    open();
    found_ = sae::decoder_sources(file_.dictionary, shards_);
    json::object result = {
        {"sae", own_.sae()},
        {"trained_on", file_.metadata.contains("source") ? file_.metadata.at("source") : ""},
        {"latents", file_.dictionary.latents},
        {"input_scale_of_source", json::value_from(file_.dictionary.source_scales)}};
    if (own_.source().store_size() > 0) {
      scale();
      result["measured_rows"] = scaling_->rows;
    }
    result["relative_norm"] = histogram_json(found_.relative_norm, 0.0, 1.0, own_.bins());
    const double from = own_.shared_from(), to = own_.shared_to();
    result["groups"] = json::array{
        group("exclusive to the first", latents_where([&](double r) { return r <= from; }), true),
        group("shared", latents_where([&](double r) { return r > from && r < to; }), false),
        group("exclusive to the second", latents_where([&](double r) { return r > from && r >= to; }), true)};
    result["definitions"] = definitions();
    agree(*call_.world.control, "write the latents", [&] { write_latents(); });
    return call_.finish(result);
  }

 private:
  void open() {
    agree(*call_.world.control, "open the crosscoder", [&] {
      if (!(own_.shared_from() <= own_.shared_to())) {
        refuse(fmt::format("shared_from = {} is above shared_to = {}", own_.shared_from(), own_.shared_to()),
               "latents between them are shared", "Give the smaller one first.");
      }
      file_ =
          sae::load_dictionary(required_field("sae", own_.sae()), memory_, shards_.size(), shards_.rank());
      if (file_.dictionary.latents < shards_.size()) {
        refuse(fmt::format("{} ranks share {} latents", shards_.size(), file_.dictionary.latents),
               "every rank holds at least one", "Use fewer ranks.");
      }
    });
  }

  void scale() {
    const auto source = open_pair(call_, own_.source(), "join", file_.dictionary.d_model, memory_);
    scaling_ =
        sae::crosscoder_scaling(file_.dictionary, *source, measured_split(*source), own_.rows(), call_.world);
  }

  // Latents by their relative norm.
  template <typename Is>
  [[nodiscard]] std::vector<size_t> latents_where(const Is& is) const {
    std::vector<size_t> latents;
    for (size_t i = 0; i < found_.relative_norm.size(); ++i) {
      if (is(found_.relative_norm[i])) latents.push_back(i);
    }
    return latents;
  }

  [[nodiscard]] json::object group(const char* name, const std::vector<size_t>& latents,
                                   bool exclusive) const {
    const std::vector<float> cosines = chosen(found_.cosine, latents);
    json::object group = {{"group", name},
                          {"latents", latents.size()},
                          {"share", share_of_all(latents.size(), found_.cosine.size())},
                          {"mean_cosine", sae::mean_of(cosines)},
                          {"cosine", histogram_json(cosines, -1.0, 1.0, own_.bins())}};
    if (!scaling_) return group;
    std::vector<size_t> fired;
    for (const size_t i : latents) {
      if (scaling_->firings[i] > 0) fired.push_back(i);
    }
    const std::vector<float> errors = chosen(scaling_->error_ratio, fired);
    const std::vector<float> reconstructions = chosen(scaling_->reconstruction_ratio, fired);
    group["fired"] = fired.size();
    group["median_error_ratio"] = median_of(errors);
    group["median_reconstruction_ratio"] = median_of(reconstructions);
    group["error_ratio"] = histogram_json(errors, -0.5, 1.5, own_.bins());
    group["reconstruction_ratio"] = histogram_json(reconstructions, -0.5, 1.5, own_.bins());
    if (!exclusive) return group;
    size_t confirmed = 0;
    for (size_t i = 0; i < fired.size(); ++i) {
      if (errors[i] < own_.error_ratio() && reconstructions[i] < own_.reconstruction_ratio()) ++confirmed;
    }
    group["confirmed"] = confirmed;
    group["confirmed_share"] = share_of_all(confirmed, fired.size());
    return group;
  }

  // Every number of every latent.
  void write_latents() const {
    if (call_.run == nullptr || call_.world.rank() != 0) return;
    std::vector<SafetensorsTensor> tensors;
    const auto add = [&](const char* name, const auto& values, Dtype dtype = Dtype::kF32) {
      tensors.push_back({name, dtype, {static_cast<int64_t>(values.size())}, values.data()});
    };
    add("decoder_norm_a", found_.norm_a);
    add("decoder_norm_b", found_.norm_b);
    add("relative_norm", found_.relative_norm);
    add("cosine", found_.cosine);
    if (scaling_) {
      add("firings", scaling_->firings, Dtype::kI64);
      add("error_beta_a", scaling_->error_beta_a);
      add("error_beta_b", scaling_->error_beta_b);
      add("reconstruction_beta_a", scaling_->reconstruction_beta_a);
      add("reconstruction_beta_b", scaling_->reconstruction_beta_b);
      add("error_ratio", scaling_->error_ratio);
      add("reconstruction_ratio", scaling_->reconstruction_ratio);
    }
    write_safetensors(call_.run->file("latents.safetensors"), tensors);
  }

  Invocation& call_;
  const DiffCrosscoder& own_;
  Communicator& shards_;
  Memory memory_;
  sae::DictionaryFile file_;
  sae::DecoderSources found_;
  std::optional<sae::CrosscoderScaling> scaling_;
};

ExitCode run_crosscoder(Invocation& invocation) {
  return CrosscoderDiff(invocation).run();
}

std::string number_text(const json::object& group, const char* name) {
  const json::value* const value = group.if_contains(name);
  if (value == nullptr) return "";
  return value->is_double() ? fmt::format("{:.3f}", value->get_double())
                            : fmt::format("{}", value->to_number<int64_t>());
}

// A line for each group; histograms are for plots.
std::string table_of(const json::value& result) {
  json::object shown = result.as_object();
  const json::array groups = shown.at("groups").as_array();
  for (const char* name : {"definitions", "relative_norm", "groups"}) shown.erase(name);
  std::string text = plain_table(shown);
  constexpr auto kLine = "{:<24}{:>9}{:>8}{:>8}{:>8}{:>12}{:>16}{:>11}\n";
  text += "\n";
  text += fmt::format(kLine, "group", "latents", "share", "cosine", "fired", "error ratio", "reconstruction",
                      "confirmed");
  for (const json::value& row : groups) {
    const json::object& group = row.as_object();
    text += fmt::format(kLine, std::string_view(group.at("group").as_string()), number_text(group, "latents"),
                        number_text(group, "share"), number_text(group, "mean_cosine"),
                        number_text(group, "fired"), number_text(group, "median_error_ratio"),
                        number_text(group, "median_reconstruction_ratio"), number_text(group, "confirmed"));
  }
  return text;
}

}  // namespace

Verb diff_crosscoder_verb() {
  return {
      .name = "diff crosscoder",
      .summary = "which latents of a crosscoder are of one source and which of both: norms, cosines, scaling",
      .schema = DiffCrosscoder::descriptor(),
      .run_use = RunUse::kOptional,
      .run = run_crosscoder,
      .table = table_of};
}

}  // namespace orthant::launch
