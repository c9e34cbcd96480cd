#include "launch/score/score_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/storage/safetensors.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

json::object feature_json(int64_t latent, const LatentScores& scores, const sae::LatentTotals& totals,
                          const sae::WindowMarker& marker) {
  const sae::WindowSums windows = totals.windows();
  const auto at = static_cast<size_t>(latent);
  json::object words;
  for (int64_t g = 0; g < totals.groups; ++g) {
    words[marker.vocabulary()[static_cast<size_t>(g)].name] = windows.mean(g, latent);
  }
  json::object feature = {
      {"latent", latent},
      {"score", scores.score[at]},
      {"entropy", scores.entropy[at]},
      {"near_mean", windows.mean(totals.groups, latent)},
      {"far_mean", windows.mean(totals.groups + 1, latent)},
      {"word_means", words},
      {"density", static_cast<double>(totals.fired[at]) / static_cast<double>(totals.tokens())},
      {"max", totals.max[at]},
      {"max_row", totals.max_row[at]}};
  if (!scores.cohens_d.empty()) feature["cohens_d"] = scores.cohens_d[at];
  return feature;
}

}  // namespace

json::array features_json(const LatentScores& scores, const sae::LatentTotals& totals,
                          const sae::WindowMarker& marker) {
  json::array features;
  for (const int64_t latent : scores.best) features.push_back(feature_json(latent, scores, totals, marker));
  return features;
}

json::object windows_json(const sae::LatentTotals& totals, const sae::WindowMarker& marker) {
  json::object words;
  for (int64_t g = 0; g < totals.groups; ++g) {
    words[marker.vocabulary()[static_cast<size_t>(g)].name] = totals.counts[static_cast<size_t>(g)];
  }
  return {{"near_tokens", totals.counts[static_cast<size_t>(totals.groups)]},
          {"far_tokens", totals.counts[static_cast<size_t>(totals.groups) + 1]},
          {"word_tokens", words}};
}

void write_scores(const std::string& path, const LatentScores& scores, const sae::LatentTotals& totals,
                  const sae::WindowMarker& marker) {
  std::vector<std::string> names;
  for (const sae::TokenGroup& group : marker.vocabulary()) names.push_back(group.name);
  const int64_t rows = totals.groups + 2;
  std::vector<SafetensorsTensor> tensors = {
      {"scores", Dtype::kF64, {totals.latents}, scores.score.data()},
      {"entropy", Dtype::kF64, {totals.latents}, scores.entropy.data()},
      {"max", Dtype::kF64, {totals.latents}, totals.max.data()},
      {"sums", Dtype::kF64, {rows, totals.latents}, totals.sums.data()},
      {"counts", Dtype::kI64, {rows}, totals.counts.data()},
      {"fired", Dtype::kI64, {totals.latents}, totals.fired.data()},
      {"max_row", Dtype::kI64, {totals.latents}, totals.max_row.data()}};
  if (!scores.cohens_d.empty()) {
    tensors.push_back({"cohens_d", Dtype::kF64, {totals.latents}, scores.cohens_d.data()});
  }
  write_safetensors(
      path, tensors,
      {{"format", "orthant scores"}, {"rows_of_sums", fmt::format("{},near,far", fmt::join(names, ","))}});
}

}  // namespace orthant::launch
