#include "sae/training/training_result.h"

#include <boost/json/value_from.hpp>

#include "sae/dictionary/host_dictionary.h"
#include "sae/measure/neighbour_cosines.h"
#include "sae/measure/reconstruction_quality.h"

namespace orthant::sae {
namespace {

constexpr int kCalibrationBatches = 8;

std::vector<Share> all_slices(const Dictionary& d, int shards, int virtual_shards) {
  std::vector<Share> slices;
  for (int s = 0; s < shards; ++s) slices.push_back(latent_slice(d.latents, shards, s, virtual_shards));
  return slices;
}

}  // namespace

boost::json::object training_result(Trainer& trainer, ActivationSource& source, Grid& grid,
                                    int64_t holdout_rows) {
  const TrainerConfig& config = trainer.config();
  trainer.calibrate_threshold(source, kCalibrationBatches);
  trainer.wait();
  const Dictionary& d = trainer.dictionary();
  Stream stream(d.encoder.view().device);
  // A generator has no end; a store without held-out documents is measured on what it was trained on.
  const bool held_out = source.rows(Split::kHoldout) > 0 || source.rows(Split::kTrain) == 0;
  const ReconstructionQuality quality =
      measure_reconstruction(trainer.dictionary(), source, held_out ? Split::kHoldout : Split::kTrain,
                             holdout_rows, grid, config.virtual_shards);
  const std::vector<Share> slices = all_slices(d, grid.dictionary->size(), config.virtual_shards);
  const kernels::ProductOrder order = product_order(config.virtual_shards);
  const std::vector<float> cosines =
      neighbour_cosines(d.decoder.view(), slices, *grid.dictionary, stream, order);
  const std::vector<float> all = gather_latent_values(cosines, slices, *grid.dictionary, stream);
  const LatentPartition partition(d.latents, config.conventions.orthogonality_chunk, config.seed,
                                  trainer.steps_done());
  boost::json::object result;
  result["explained_variance"] = quality.explained_variance;
  result["fvu"] = quality.fvu();
  result["l0"] = quality.l0;
  result["mse"] = quality.mse;
  result["cosine"] = quality.cosine;
  result["dead_fraction"] = 1.0 - quality.alive_fraction;
  result["mean_max_cosine"] = mean_of(all);
  result["chance_mean_cosine"] =
      chance_mean_cosine(d.d_model, config.seed, slices, *grid.dictionary, stream, order);
  result["orthogonality"] = trainer.orthogonality(partition);
  result["threshold"] = d.threshold;
  result["input_scale"] = d.input_scale;
  if (d.sources > 1) {
    result["explained_variance_of_source"] = boost::json::value_from(quality.explained_variance_of_source);
    result["input_scale_of_source"] = boost::json::value_from(d.source_scales);
  }
  result["measured_rows"] = quality.rows;
  result["measured_split"] = held_out ? "holdout" : "train";
  result["tokens"] = trainer.steps_done() * config.batch_tokens;
  result["steps"] = trainer.steps_done();
  const int64_t rows = source.rows(Split::kTrain);
  if (rows > 0) {
    result["passes"] =
        static_cast<double>(trainer.steps_done() * config.batch_tokens) / static_cast<double>(rows);
  }
  const ExcludedRows excluded = source.excluded();
  result["excluded"] = {{"token_ids", excluded.token_ids},
                        {"positions", excluded.positions},
                        {"norm_ratio", excluded.norm_ratio}};
  const HostDictionary host(d);
  result["weights_sha256"] = weights_sha256(*host, *grid.dictionary, stream);
  return result;
}

}  // namespace orthant::sae
