#include "sae/measure/evaluation.h"

#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>

#include "runtime/storage/file.h"
#include "runtime/storage/safetensors.h"
#include "sae/measure/histogram.h"
#include "sae/measure/neighbour_cosines.h"

namespace orthant::sae {
namespace {

namespace json = boost::json;

void add_quality(const ReconstructionQuality& q, json::object& result) {
  result["explained_variance"] = q.explained_variance;
  result["explained_variance_per_coordinate"] = q.explained_variance_per_coordinate;
  result["explained_variance_legacy"] = q.explained_variance_legacy;
  result["explained_variance_saelens"] = q.explained_variance_saelens;
  result["fvu"] = q.fvu();
  result["fvu_global_mean"] = q.fvu_global_mean;
  result["mse"] = q.mse;
  result["cossim"] = q.cosine;
  result["l2_norm_in"] = q.l2_norm_in;
  result["l2_norm_out"] = q.l2_norm_out;
  result["l2_ratio"] = q.l2_ratio;
  result["relative_reconstruction_bias"] = q.relative_reconstruction_bias;
  result["l0"] = q.l0;
  result["l1"] = q.l1;
  result["alive_fraction"] = q.alive_fraction;
  result["dead_fraction"] = 1.0 - q.alive_fraction;
  result["measured_rows"] = q.rows;
  if (q.explained_variance_of_source.empty()) return;
  result["explained_variance_of_source"] = json::value_from(q.explained_variance_of_source);
}

void add_losses(const SplicedLosses& l, json::object& result) {
  result["ce_loss_score"] = l.ce_loss_score();
  result["ce_loss_without_sae"] = l.ce_without_sae;
  result["ce_loss_with_sae"] = l.ce_with_sae;
  result["ce_loss_with_ablation"] = l.ce_with_ablation;
  result["kl_div_score"] = l.kl_div_score();
  result["kl_div_with_sae"] = l.kl_with_sae;
  result["kl_div_with_ablation"] = l.kl_with_ablation;
  result["ce"] = {{"sequences", l.sequences},
                  {"tokens", l.tokens},
                  {"excluded_tokens", l.uncounted},
                  {"norm_limit", l.norm_limit},
                  {"rows_over_norm_limit", l.rows_over_norm_limit},
                  {"split", l.held_out ? "holdout" : "all"}};
}

json::object definitions_of(const Evaluation& evaluation) {
  json::object definitions;
  if (evaluation.quality) {
    definitions["explained_variance"] = "A: 1 - mean |x - xhat|^2 / mean |x - mean x|^2 = 1 - fvu";
    definitions["explained_variance_per_coordinate"] =
        "B: 1 - sum of the variances of x - xhat / sum of the variances of x, coordinate by coordinate";
    definitions["explained_variance_legacy"] = "C: mean of 1 - |x - xhat|^2 / |x - mean x|^2";
    definitions["explained_variance_saelens"] =
        "D: 1 - mean |x - xhat|^2 / (mean |x|^2 - (mean of x^2 over all entries)^2)";
    definitions["fvu_global_mean"] = "E: mean (x - xhat)^2 / variance of all entries about one mean";
    definitions["mse"] = "mean over rows of |x - xhat|^2";
    definitions["l0"] = "mean over rows of the latents above 0";
    definitions["dead_fraction"] = "share of the latents that never fired in the measured rows";
  }
  if (evaluation.geometry) {
    definitions["mean_max_cosine"] = "mean over all latents of the largest cosine to another decoder row";
    definitions["chance_mean_cosine"] = "mean_max_cosine of independent random directions of the same shape";
  }
  if (evaluation.losses) {
    definitions["ce_loss_score"] = "(ablation - with) / (ablation - without), zero ablation of all positions";
    definitions["kl_div_score"] = "(ablation - with) / ablation, of KL(original || changed)";
  }
  return definitions;
}

json::object to_json(const Histogram& histogram) {
  return {{"edges", json::value_from(histogram.edges)}, {"counts", json::value_from(histogram.counts)}};
}

double score(double ablated, double spliced, double original) {
  const double cost = ablated - original;
  // + 0.0: never a negative zero.
  return cost != 0.0 ? (ablated - spliced) / cost + 0.0 : 0.0;
}

}  // namespace

double SplicedLosses::ce_loss_score() const {
  return score(ce_with_ablation, ce_with_sae, ce_without_sae);
}

double SplicedLosses::kl_div_score() const {
  return score(kl_with_ablation, kl_with_sae, 0.0);
}

LatentStatistics latent_statistics(const ReconstructionQuality& quality, const Dictionary& dictionary,
                                   Communicator& shards, int virtual_shards) {
  Stream stream;
  const std::vector<Share> slices = all_slices(dictionary.latents, shards.size(), virtual_shards);
  std::vector<float> densities;
  for (const int64_t count : quality.firing_counts) {
    const auto rows = static_cast<double>(std::max<int64_t>(quality.rows, 1));
    densities.push_back(static_cast<float>(static_cast<double>(count) / rows));
  }
  return {.density = gather_latent_values(densities, slices, shards, stream),
          .max_activation = gather_latent_values(quality.max_activations, slices, shards, stream)};
}

json::object evaluation_json(const Evaluation& evaluation) {
  const Dictionary& d = *evaluation.dictionary;
  json::object result;
  result["architecture"] = name_of(d.architecture);
  result["d_model"] = d.d_model;
  result["latents"] = d.latents;
  result["k"] = d.k;
  if (evaluation.quality) {
    add_quality(*evaluation.quality, result);
    result["measured_split"] = evaluation.measured_split;
    result["excluded"] = {{"token_ids", evaluation.excluded.token_ids},
                          {"positions", evaluation.excluded.positions},
                          {"norm_ratio", evaluation.excluded.norm_ratio}};
  }
  if (evaluation.geometry) {
    result["mean_max_cosine"] = evaluation.geometry->mean_max_decoder_cosine;
    result["chance_mean_cosine"] = evaluation.geometry->chance_mean_cosine;
    result["mean_max_encoder_cosine"] = evaluation.geometry->mean_max_encoder_cosine;
    result["mean_encoder_decoder_cosine"] = mean_of(evaluation.geometry->encoder_decoder_cosine);
  }
  if (evaluation.losses) add_losses(*evaluation.losses, result);
  result["definitions"] = definitions_of(evaluation);
  return result;
}

void write_latent_files(const Evaluation& evaluation, const std::string& directory) {
  std::vector<SafetensorsTensor> tensors;
  json::object histograms;
  const auto add = [&](const char* name, const std::vector<float>& values) {
    tensors.push_back({.name = name,
                       .dtype = Dtype::kF32,
                       .shape = {static_cast<int64_t>(values.size())},
                       .data = values.data()});
  };
  if (evaluation.latents) {
    add("density", evaluation.latents->density);
    add("max_activation", evaluation.latents->max_activation);
    histograms["log10_density"] = to_json(log10_density_histogram(evaluation.latents->density));
  }
  if (evaluation.geometry) {
    add("max_cosine", evaluation.geometry->max_decoder_cosine);
    add("max_encoder_cosine", evaluation.geometry->max_encoder_cosine);
    add("encoder_decoder_cosine", evaluation.geometry->encoder_decoder_cosine);
    histograms["max_cosine"] = to_json(histogram_of(evaluation.geometry->max_decoder_cosine, -1.0, 1.0, 80));
  }
  if (tensors.empty()) return;
  write_safetensors(directory + "/latents.safetensors", tensors);
  replace_file(directory + "/histograms.json", json::serialize(histograms) + "\n");
}

}  // namespace orthant::sae
