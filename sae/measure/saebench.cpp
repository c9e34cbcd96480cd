#include "sae/measure/saebench.h"

#include <fmt/format.h>

#include <cmath>

namespace orthant::sae {
namespace {

namespace json = boost::json;

constexpr double kNotMeasured = -1.0;
constexpr double kSaebenchBatchTokens = 16 * 128;

// Latents above a density, as a share of all and of the whole density.
struct Frequent {
  double share = 0.0;
  double normalized = 0.0;
};

Frequent frequent(const std::vector<float>& densities, double least) {
  double above = 0.0, mass_above = 0.0, mass = 0.0;
  for (const float density : densities) {
    mass += density;
    if (density <= least) continue;
    above += 1.0;
    mass_above += density;
  }
  return {densities.empty() ? 0.0 : above / static_cast<double>(densities.size()),
          mass > 0.0 ? mass_above / mass : 0.0};
}

json::object preservation(const Evaluation& e) {
  const bool known = e.losses.has_value();
  const SplicedLosses l = known ? *e.losses : SplicedLosses{};
  const auto value = [&](double number) { return known ? number : kNotMeasured; };
  return {{"model_behavior_preservation",
           {{"kl_div_score", value(l.kl_div_score())},
            {"kl_div_with_ablation", value(l.kl_with_ablation)},
            {"kl_div_with_sae", value(l.kl_with_sae)}}},
          {"model_performance_preservation",
           {{"ce_loss_score", value(l.ce_loss_score())},
            {"ce_loss_with_ablation", value(l.ce_with_ablation)},
            {"ce_loss_with_sae", value(l.ce_with_sae)},
            {"ce_loss_without_sae", value(l.ce_without_sae)}}}};
}

json::object metrics_of(const Evaluation& e, bool compat) {
  const ReconstructionQuality& q = *e.quality;
  json::object metrics = preservation(e);
  metrics["reconstruction_quality"] = {
      {"explained_variance", compat ? q.explained_variance_saelens : q.explained_variance},
      {"explained_variance_legacy", q.explained_variance_legacy},
      {"mse", compat ? q.mse / kSaebenchBatchTokens : q.mse},
      {"cossim", q.cosine}};
  metrics["shrinkage"] = {{"l2_norm_in", q.l2_norm_in},
                          {"l2_norm_out", q.l2_norm_out},
                          {"l2_ratio", q.l2_ratio},
                          {"relative_reconstruction_bias", q.relative_reconstruction_bias}};
  metrics["sparsity"] = {{"l0", q.l0}, {"l1", q.l1}};
  metrics["token_stats"] = {{"total_tokens_eval_reconstruction", e.losses ? e.losses->tokens : 0},
                            {"total_tokens_eval_sparsity_variance", q.rows}};
  const Frequent one = frequent(e.latents->density, 0.01);
  const Frequent ten = frequent(e.latents->density, 0.1);
  metrics["misc_metrics"] = {
      {"freq_over_1_percent", one.share},
      {"freq_over_10_percent", ten.share},
      {"normalized_freq_over_1_percent", one.normalized},
      {"normalized_freq_over_10_percent", ten.normalized},
      {"average_max_encoder_cosine_sim", e.geometry ? e.geometry->mean_max_encoder_cosine : kNotMeasured},
      {"average_max_decoder_cosine_sim", e.geometry ? e.geometry->mean_max_decoder_cosine : kNotMeasured},
      {"frac_alive", q.alive_fraction}};
  return metrics;
}

json::array details_of(const Evaluation& e) {
  json::array details;
  const auto value = [&](const std::vector<float> DictionaryGeometry::*values, size_t i) {
    return e.geometry ? static_cast<double>(((*e.geometry).*values)[i]) : kNotMeasured;
  };
  for (size_t i = 0; i < e.latents->density.size(); ++i) {
    details.push_back({{"index", i},
                       {"feature_density", e.latents->density[i]},
                       {"consistent_activation_heuristic", kNotMeasured},
                       {"encoder_bias", value(&DictionaryGeometry::encoder_bias, i)},
                       {"encoder_norm", value(&DictionaryGeometry::encoder_norm, i)},
                       {"encoder_decoder_cosine_sim", value(&DictionaryGeometry::encoder_decoder_cosine, i)},
                       {"max_decoder_cosine_sim", value(&DictionaryGeometry::max_decoder_cosine, i)},
                       {"max_encoder_cosine_sim", value(&DictionaryGeometry::max_encoder_cosine, i)}});
  }
  return details;
}

// Hexadecimal digits grouped as a UUID of version 4.
std::string uuid_from(std::string digits) {
  digits.resize(32, '0');
  digits[12] = '4';
  digits[16] = 'a';
  return fmt::format("{}-{}-{}-{}-{}", digits.substr(0, 8), digits.substr(8, 4), digits.substr(12, 4),
                     digits.substr(16, 4), digits.substr(20, 12));
}

}  // namespace

json::object saebench_json(const Evaluation& evaluation, const SaebenchRun& run) {
  require(evaluation.quality && evaluation.latents, "the core results are measured");
  const Dictionary& d = *evaluation.dictionary;
  return {{"eval_type_id", "core"},
          {"eval_config",
           {{"exclude_special_tokens_from_reconstruction", true},
            {"compute_kl", evaluation.losses.has_value()},
            {"compute_ce_loss", evaluation.losses.has_value()},
            {"compat", run.compat}}},
          {"eval_id", uuid_from(run.id)},
          {"datetime_epoch_millis", run.epoch_millis},
          {"eval_result_metrics", metrics_of(evaluation, run.compat)},
          {"eval_result_details", details_of(evaluation)},
          {"sae_bench_commit_hash", fmt::format("orthant {}", run.git_hash)},
          {"sae_lens_id", run.sae},
          {"sae_lens_release_id", "orthant"},
          {"sae_lens_version", fmt::format("orthant {}", run.version)},
          {"sae_cfg_dict",
           {{"architecture", name_of(d.architecture)},
            {"d_in", d.d_model},
            {"d_sae", d.latents},
            {"k", d.k},
            {"normalize_activations", name_of(d.input_scaling)},
            {"apply_b_dec_to_input", d.subtract_decoder_bias},
            {"rescale_acts_by_decoder_norm", d.rescale_acts_by_decoder_norm}}},
          {"eval_result_unstructured", nullptr}};
}

}  // namespace orthant::sae
