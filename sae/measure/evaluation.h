// All that an evaluation found out about a dictionary, and the documents and files made from it.
//
// Every number has the name of its definition. Pure functions but for the files; thread-safe on distinct
// directories.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runtime/job/activation_source.h"
#include "sae/dictionary/dictionary.h"
#include "sae/measure/dictionary_geometry.h"
#include "sae/measure/reconstruction_quality.h"

namespace orthant::sae {

// What a model loses: mean nats a token.
struct SplicedLosses {
  int64_t sequences = 0;
  int64_t tokens = 0;
  int64_t uncounted = 0;             // tokens whose loss does not count (excluded ones)
  int64_t rows_over_norm_limit = 0;  // rows left as they were because of their norm
  double norm_limit = 0.0;           // 0: none
  bool held_out = true;
  double ce_without_sae = 0.0;
  double ce_with_sae = 0.0;
  double ce_with_ablation = 0.0;
  double kl_with_sae = 0.0;       // KL(p_original || p_spliced)
  double kl_with_ablation = 0.0;  // KL(p_original || p_ablated)

  // 0 where ablation costs nothing.
  [[nodiscard]] double ce_loss_score() const;
  [[nodiscard]] double kl_div_score() const;
};

// Per latent, of the whole dictionary.
struct LatentStatistics {
  std::vector<float> density;         // [latents] share of rows in which it fired
  std::vector<float> max_activation;  // [latents]
};

struct Evaluation {
  const Dictionary* dictionary = nullptr;  // conventions and sizes; any slice
  std::string measured_split = {};         // "holdout", or "train" where nothing was held out
  ExcludedRows excluded = {};
  std::optional<ReconstructionQuality> quality = {};
  std::optional<LatentStatistics> latents = {};  // beside `quality`
  std::optional<DictionaryGeometry> geometry = {};
  std::optional<SplicedLosses> losses = {};
};

// Gathers densities and largest activations of all slices. Collective over the shards.
[[nodiscard]] LatentStatistics latent_statistics(const ReconstructionQuality& quality,
                                                 const Dictionary& dictionary, Communicator& shards,
                                                 int virtual_shards);

// The fields of result.json.
[[nodiscard]] boost::json::object evaluation_json(const Evaluation& evaluation);
// latents.safetensors ([latents] tensors density, max_activation, max_cosine, max_encoder_cosine and
// encoder_decoder_cosine, as far as measured) and histograms.json. Nothing where there is nothing to write.
void write_latent_files(const Evaluation& evaluation, const std::string& directory);

}  // namespace orthant::sae
