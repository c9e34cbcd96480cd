#include "launch/score/score_contexts.h"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <optional>

#include "launch/evaluate/contexts_json.h"
#include "launch/evaluate/evaluation_text.h"
#include "models/tasks/direction_logits.h"
#include "models/transformer/weights.h"
#include "sae/measure/histogram.h"
#include "sae/scoring/code_blocks.h"
#include "sae/scoring/unit_directions.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

sae::Histogram activation_histogram(const sae::Firings& firings, int bins) {
  std::vector<float> values;
  for (const sae::Firing& firing : firings) values.push_back(firing.value);
  const float largest = values.empty() ? 1.0f : *std::max_element(values.begin(), values.end());
  return sae::histogram_of(values, 0.0, largest, bins);
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

json::array intervals_json(const std::vector<sae::ContextInterval>& intervals,
                           const models::Tokenizer& tokenizer) {
  json::array all;
  for (const sae::ContextInterval& interval : intervals) {
    json::array contexts;
    for (const sae::Context& context : interval.contexts)
      contexts.push_back(context_json(context, &tokenizer));
    all.push_back(
        {{"low", interval.low}, {"high", interval.high}, {"share", interval.share}, {"contexts", contexts}});
  }
  return all;
}

}  // namespace

std::vector<LatentCard> cards_of_scores(const ScoredCodes& codes, const LatentScores& scores,
                                        const sae::LatentTotals& totals, World& world, Grid& grid) {
  const ScoreContexts& asked = codes.config->contexts();
  std::vector<int64_t> latents = scores.best;
  latents.resize(std::min(latents.size(), static_cast<size_t>(asked.latents())));
  Memory memory;
  const Tensor<float, 2> directions =
      sae::unit_directions(*codes.dictionary, latents, *grid.dictionary, memory);
  std::optional<sae::FiringCollector> own;
  std::vector<models::DirectionLogits> logits;
  agree(*world.control, "read the codes and the head of the model", [&] {
    const Share blocks = share_of(codes.blocks, world.size(), world.rank());
    own.emplace(sae::firings_in_blocks(codes.codes_folder, blocks, latents));
    if (world.rank() == 0 && asked.logits() > 0) logits = logits_of(*codes.config, directions.view());
  });
  const sae::ContextOptions top{
      .split = Split::kTrain, .rows = codes.rows, .top = asked.top(), .width = asked.width()};
  sae::ContextOptions examples = top;
  examples.top = asked.quantile_examples();
  std::vector<LatentCard> cards;
  Stream stream;
  for (size_t i = 0; i < latents.size(); ++i) {
    sae::Firings all = sae::gather_firings(own->of(i), *world.data, stream);
    agree(*world.control, "read the contexts", [&] {
      if (world.rank() != 0) return;
      const auto latent = static_cast<size_t>(latents[i]);
      for (sae::Firing& firing : all) firing.value *= static_cast<float>(totals.decoder_norm[latent]);
      const float* const direction = directions.view().row(static_cast<int64_t>(i));
      cards.push_back({.score = scores.score[latent],
                       .density = static_cast<double>(all.size()) / static_cast<double>(codes.rows),
                       .top = sae::contexts_of(latents[i], all, *codes.source, top),
                       .intervals = sae::interval_contexts(latents[i], all, *codes.source, examples,
                                                           asked.quantiles(), codes.seed),
                       .histogram = activation_histogram(all, asked.bins()),
                       .logits = logits.empty() ? models::DirectionLogits{} : std::move(logits[i]),
                       .direction = {direction, direction + codes.dictionary->d_model}});
    });
  }
  return cards;
}

std::string lines_of_cards(const std::vector<LatentCard>& cards, const models::Tokenizer& tokenizer) {
  std::string lines;
  for (const LatentCard& card : cards) {
    json::object line = contexts_json(card.top, card.density, &tokenizer);
    line["score"] = card.score;
    line["histogram"] = {{"edges", json::value_from(card.histogram.edges)},
                         {"counts", json::value_from(card.histogram.counts)}};
    if (!card.intervals.empty()) line["quantiles"] = intervals_json(card.intervals, tokenizer);
    if (!card.logits.largest.empty()) {
      line["top_logits"] = tokens_json(card.logits.largest, tokenizer);
      line["bottom_logits"] = tokens_json(card.logits.smallest, tokenizer);
    }
    lines += json::serialize(line) + "\n";
  }
  return lines;
}

}  // namespace orthant::launch
