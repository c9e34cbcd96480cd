#include "launch/score_contexts.h"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <optional>

#include "launch/contexts_json.h"
#include "launch/evaluation_text.h"
#include "models/tasks/direction_logits.h"
#include "models/transformer/weights.h"
#include "sae/measure/histogram.h"
#include "sae/scoring/code_blocks.h"
#include "sae/scoring/unit_directions.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

// Of activations above 0, from 0 to the largest.
json::object activation_histogram(const sae::Firings& firings, int bins) {
  std::vector<float> values;
  for (const sae::Firing& firing : firings) values.push_back(firing.value);
  const float largest = values.empty() ? 1.0f : *std::max_element(values.begin(), values.end());
  const sae::Histogram histogram = sae::histogram_of(values, 0.0, largest, bins);
  return {{"edges", json::value_from(histogram.edges)}, {"counts", json::value_from(histogram.counts)}};
}

json::array tokens_json(const std::vector<models::TokenLogit>& logits, const models::Tokenizer& tokenizer) {
  json::array tokens;
  for (const models::TokenLogit& each : logits) {
    tokens.push_back(
        {{"token", token_text(tokenizer, each.token)}, {"id", each.token}, {"logit", each.logit}});
  }
  return tokens;
}

std::vector<models::DirectionLogits> logits_of(const Score& config, Matrix<const float> directions) {
  Memory memory;
  Stream stream;
  const auto file = models::open_model_file(config.model());
  const models::Weights weights = models::load_weights(*file, {.blocks = 0, .head = true}, memory, stream);
  return models::direction_logits(directions, weights.head, config.contexts().logits(), memory);
}

}  // namespace

std::string contexts_of_scores(const ShownLatents& shown, const LatentScores& scores,
                               const sae::LatentTotals& totals, World& world, Grid& grid) {
  const ScoreContexts& asked = shown.config->contexts();
  std::vector<int64_t> latents = scores.best;
  latents.resize(std::min(latents.size(), static_cast<size_t>(asked.latents())));
  Memory memory;
  const Tensor<float, 2> directions =
      sae::unit_directions(*shown.dictionary, latents, *grid.dictionary, memory);
  std::optional<sae::FiringCollector> own;
  std::vector<models::DirectionLogits> logits;
  agree(*world.control, "read the codes and the head of the model", [&] {
    const Share blocks = share_of(shown.blocks, world.size(), world.rank());
    own.emplace(sae::firings_in_blocks(shown.codes_folder, blocks, latents));
    if (world.rank() == 0 && asked.logits() > 0) logits = logits_of(*shown.config, directions.view());
  });
  const sae::ContextOptions options{
      .split = Split::kTrain, .rows = shown.rows, .top = asked.top(), .width = asked.width()};
  std::string lines;
  Stream stream;
  for (size_t i = 0; i < latents.size(); ++i) {
    sae::Firings all = sae::gather_firings(own->of(i), *world.data, stream);
    if (world.rank() != 0) continue;
    const auto latent = static_cast<size_t>(latents[i]);
    for (sae::Firing& firing : all) firing.value *= static_cast<float>(totals.decoder_norm[latent]);
    const double density = static_cast<double>(all.size()) / static_cast<double>(shown.rows);
    json::object line =
        contexts_json(sae::contexts_of(latents[i], all, *shown.source, options), density, shown.tokenizer);
    line["score"] = scores.score[latent];
    line["histogram"] = activation_histogram(all, asked.bins());
    if (!logits.empty()) {
      line["top_logits"] = tokens_json(logits[i].largest, *shown.tokenizer);
      line["bottom_logits"] = tokens_json(logits[i].smallest, *shown.tokenizer);
    }
    lines += json::serialize(line) + "\n";
  }
  return lines;
}

}  // namespace orthant::launch
