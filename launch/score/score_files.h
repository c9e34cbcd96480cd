// What a scoring job found, as documents and files. Pure functions but for the files.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "sae/scoring/score_sums.h"
#include "sae/scoring/windows.h"

namespace orthant::launch {

struct LatentScores {
  std::vector<double> score;     // [latents] what latents are chosen by
  std::vector<double> entropy;   // [latents]
  std::vector<double> cohens_d;  // [latents] or empty: snippets were not compared
  std::vector<int64_t> best;     // chosen latents, by falling score
};

// One object a chosen latent: its score, its means near, far and around each word, how it fires.
[[nodiscard]] boost::json::array features_json(const LatentScores& scores, const sae::LatentTotals& totals,
                                               const sae::WindowMarker& marker);
// Tokens in the windows of each word and outside of all.
[[nodiscard]] boost::json::object windows_json(const sae::LatentTotals& totals,
                                               const sae::WindowMarker& marker);

// scores.safetensors: `scores`, `entropy`, `max` F64 [latents], `sums` F64 [groups + 2, latents] (near and
// far last), `counts` I64 [groups + 2], `fired`, `max_row` I64 [latents]; where snippets were compared
// `cohens_d` F64 [latents].
void write_scores(const std::string& path, const LatentScores& scores, const sae::LatentTotals& totals,
                  const sae::WindowMarker& marker);

}  // namespace orthant::launch
