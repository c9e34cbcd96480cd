#include "launch/score/score_exports.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "launch/evaluate/evaluation_text.h"
#include "runtime/storage/file.h"
#include "sae/scoring/latent_cache.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

constexpr int64_t kCacheFiles = 5;     // delphi's own default
constexpr size_t kBatchLatents = 128;  // SAEDashboard's own default
constexpr size_t kAlignedNeurons = 3;

std::string stem_of(const std::string& path) {
  return std::filesystem::path(path).stem().string();
}

// The block of "blocks.15.hook_resid_post"; 0 where the hook names none.
int64_t layer_of(const std::string& hook) {
  const size_t dot = hook.find('.');
  return dot == std::string::npos ? 0 : std::atoll(hook.c_str() + dot + 1);
}

json::object activation_json(const sae::Context& context, const models::Tokenizer& tokenizer, double bin_min,
                             double bin_max, double bin_contains) {
  json::array tokens;
  for (const int32_t id : context.token_ids) tokens.emplace_back(token_text(tokenizer, id));
  return {{"bin_min", bin_min},
          {"bin_max", bin_max},
          {"bin_contains", bin_contains},
          {"tokens", tokens},
          {"values", json::value_from(context.activations)}};
}

json::array activations_json(const LatentCard& card, const models::Tokenizer& tokenizer) {
  json::array all;
  for (const sae::Context& context : card.top.contexts) {
    all.push_back(activation_json(context, tokenizer, -1.0, card.top.max_activation, -1.0));
  }
  for (const sae::ContextInterval& interval : card.intervals) {
    for (const sae::Context& context : interval.contexts) {
      all.push_back(activation_json(context, tokenizer, interval.low, interval.high, interval.share));
    }
  }
  return all;
}

// The coordinates of the residual stream that the decoder row points along most.
void add_alignment(const LatentCard& card, json::object& feature) {
  std::vector<size_t> order(card.direction.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto end = order.begin() + static_cast<int64_t>(std::min(kAlignedNeurons, order.size()));
  std::partial_sort(order.begin(), end, order.end(),
                    [&](size_t a, size_t b) { return card.direction[a] > card.direction[b]; });
  double l1 = 0.0;
  for (const float value : card.direction) l1 += std::abs(value);
  json::array indices, values, shares;
  for (auto at = order.begin(); at != end; ++at) {
    const double value = card.direction[*at];
    indices.emplace_back(*at);
    values.emplace_back(value);
    shares.emplace_back(l1 > 0.0 ? std::abs(value) / l1 : 0.0);
  }
  feature["neuron_alignment_indices"] = indices;
  feature["neuron_alignment_values"] = values;
  feature["neuron_alignment_l1"] = shares;
}

void add_logits(const char* texts_name, const char* values_name,
                const std::vector<models::TokenLogit>& logits, const models::Tokenizer& tokenizer,
                json::object& feature) {
  json::array texts, values;
  for (const models::TokenLogit& each : logits) {
    texts.emplace_back(token_text(tokenizer, each.token));
    values.emplace_back(each.logit);
  }
  feature[texts_name] = texts;
  feature[values_name] = values;
}

json::object feature_json(const ScoredCodes& codes, const LatentCard& card, int64_t sequences,
                          int64_t context) {
  json::object feature = {{"feature_index", card.top.latent}};
  add_alignment(card, feature);
  for (const char* const name :
       {"correlated_neurons_indices", "correlated_neurons_l1", "correlated_neurons_pearson",
        "correlated_features_indices", "correlated_features_l1", "correlated_features_pearson",
        "logits_hist_data_bar_heights", "logits_hist_data_bar_values", "decoder_weights_dist"}) {
    feature[name] = json::array();
  }
  add_logits("neg_str", "neg_values", card.logits.smallest, *codes.tokenizer, feature);
  add_logits("pos_str", "pos_values", card.logits.largest, *codes.tokenizer, feature);
  feature["frac_nonzero"] = card.density;
  json::array middles;
  for (size_t bin = 0; bin < card.histogram.counts.size(); ++bin) {
    middles.emplace_back((card.histogram.edges[bin] + card.histogram.edges[bin + 1]) / 2.0);
  }
  feature["freq_hist_data_bar_values"] = middles;
  feature["freq_hist_data_bar_heights"] = json::value_from(card.histogram.counts);
  feature["n_prompts_total"] = sequences;
  feature["n_tokens_in_prompt"] = context;
  feature["dataset"] = codes.config->has_store() ? codes.config->store() : codes.config->text();
  feature["activations"] = activations_json(card, *codes.tokenizer);
  return feature;
}

int64_t sequences_of(const sae::TokenText& text) {
  return std::count(text.begins.begin(), text.begins.end(), true);
}

// Tokens of a row of the model: what the text was cut to, or the longest row of a store.
int64_t context_of(const Score& config, const sae::TokenText& text) {
  if (!config.has_store()) return config.context();
  int64_t longest = 0, length = 0;
  for (const bool begins : text.begins) {
    length = begins ? 1 : length + 1;
    longest = std::max(longest, length);
  }
  return longest;
}

}  // namespace

void write_delphi(const ScoredCodes& codes, const std::string& hook, const std::string& folder,
                  World& world) {
  const std::string of_hook = folder + "/latents/" + hook;
  agree(*world.control, "make the latent cache", [&] {
    if (world.rank() == 0) std::filesystem::create_directories(of_hook);
  });
  // Each file reads all codes, and a rank may have more of them than another.
  const DeadlineScope slow(*world.control, std::chrono::hours(24));
  agree(*world.control, "write the latent cache", [&] {
    const sae::TokenText text = sae::read_token_text(*codes.source, 0, codes.rows);
    const int64_t latents = codes.dictionary->latents;
    const int64_t files = std::min(kCacheFiles, latents);
    const sae::LatentCache cache{.folder = of_hook,
                                 .codes_folder = codes.codes_folder,
                                 .blocks = {0, codes.blocks},
                                 .text = &text,
                                 .filler = codes.tokenizer->eos().value_or(0)};
    for (int64_t file = world.rank(); file < files; file += world.size()) {
      sae::write_latent_cache(cache, share_of(latents, files, file));
    }
    if (world.rank() != 0) return;
    const Score& config = *codes.config;
    replace_file(
        of_hook + "/config.json",
        json::serialize(json::object{{"model_name", config.model()},
                                     {"dataset_repo", config.has_store() ? config.store() : config.text()},
                                     {"dataset_split", "train"},
                                     {"dataset_name", ""},
                                     {"dataset_column", config.text_field()},
                                     {"batch_size", 1},
                                     {"ctx_len", context_of(config, text)},
                                     {"cache_ctx_len", context_of(config, text)},
                                     {"n_tokens", codes.rows},
                                     {"n_splits", files}}) +
            "\n");
  });
}

void write_neuronpedia(const ScoredCodes& codes, const std::string& hook,
                       const std::vector<LatentCard>& cards, const std::string& folder) {
  std::filesystem::create_directories(folder);
  const Score& config = *codes.config;
  const sae::TokenText text = sae::read_token_text(*codes.source, 0, codes.rows);
  const int64_t sequences = sequences_of(text), context = context_of(config, text);
  const json::object common = {
      {"model_id", stem_of(config.model())}, {"layer", layer_of(hook)}, {"sae_set", stem_of(config.sae())}};
  for (size_t first = 0; first < cards.size(); first += kBatchLatents) {
    json::array features;
    for (size_t i = first; i < std::min(first + kBatchLatents, cards.size()); ++i) {
      features.push_back(feature_json(codes, cards[i], sequences, context));
    }
    json::object batch = common;
    batch["features"] = features;
    replace_file(fmt::format("{}/batch-{}.json", folder, first / kBatchLatents),
                 json::serialize(batch) + "\n");
  }
  json::object settings = common;
  settings["hook_point"] = hook;
  settings["n_features_at_a_time"] = kBatchLatents;
  settings["n_prompts_total"] = sequences;
  settings["n_tokens_in_prompt"] = context;
  settings["dataset"] = config.has_store() ? config.store() : config.text();
  replace_file(folder + "/run_settings.json", json::serialize(settings) + "\n");
  replace_file(folder + "/skipped_indexes.json",
               json::serialize(json::object{{"skipped_indexes", json::array()}}) + "\n");
}

}  // namespace orthant::launch
