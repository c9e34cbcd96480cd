#include "launch/score/score_injection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <optional>

#include "launch/evaluate/evaluation_text.h"
#include "launch/program/refuse.h"
#include "launch/score/score_inputs.h"
#include "models/transformer/live_source.h"
#include "sae/scoring/code_blocks.h"
#include "sae/scoring/sequence_blocks.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

constexpr std::array kKinds = {sae::InjectionKind::kTokens, sae::InjectionKind::kPairs,
                               sae::InjectionKind::kTriple};

// In the order of SnippetMaxima: untouched, then by latent and kind.
std::vector<std::vector<int32_t>> texts_of(const InjectionPlan& plan, uint64_t seed) {
  std::vector<std::vector<int32_t>> texts = plan.snippets;
  for (size_t i = 0; i < plan.latents.size(); ++i) {
    for (const sae::InjectionKind kind : kKinds) {
      for (size_t s = 0; s < plan.snippets.size(); ++s) {
        texts.push_back(sae::injected(plan.snippets[s], plan.tokens[i], kind, seed, plan.latents[i],
                                      static_cast<int64_t>(s)));
      }
    }
  }
  return texts;
}

json::array tokens_json(const std::vector<sae::TokenAffinity>& tokens, const models::Tokenizer& tokenizer) {
  const auto text_of = [&](int32_t id) {
    return id < 0 ? json::value() : json::value(token_text(tokenizer, id));
  };
  json::array all;
  for (const sae::TokenAffinity& each : tokens) {
    all.push_back({{"token", text_of(each.token)},
                   {"id", each.token},
                   {"mean", each.mean},
                   {"occurrences", each.occurrences},
                   {"before", text_of(each.before)},
                   {"after", text_of(each.after)}});
  }
  return all;
}

// The line of one latent, activations with a unit decoder row; adds its class to `classes`.
json::object line_of(const InjectionPlan& plan, size_t place, const sae::SnippetMaxima& maxima,
                     double decoder_norm, const models::Tokenizer& tokenizer,
                     std::array<int64_t, sae::kInjectionClasses>& classes) {
  json::object kinds;
  double largest = 0.0;
  for (const sae::InjectionKind kind : kKinds) {
    const sae::InjectionEffect effect = maxima.effect(static_cast<int64_t>(place), kind);
    largest = std::max(largest, effect.d);
    kinds[sae::name_of(kind)] = {{"cohens_d", effect.d}, {"mean", effect.mean * decoder_norm}};
  }
  const sae::InjectionClass found =
      plan.tokens[place].empty() ? sae::InjectionClass::kUntested : sae::injection_class(largest);
  ++classes[static_cast<size_t>(found)];
  return {{"latent", plan.latents[place]},
          {"class", sae::name_of(found)},
          {"cohens_d", largest},
          {"untouched_mean", maxima.untouched_mean(static_cast<int64_t>(place)) * decoder_norm},
          {"injections", kinds},
          {"tokens", tokens_json(plan.tokens[place], tokenizer)}};
}

}  // namespace

InjectionPlan plan_injection(const ScoredCodes& codes, const LatentScores& scores, World& world) {
  const ScoreInjection& asked = codes.config->injection();
  InjectionPlan plan{.latents = scores.best, .tokens = {}, .snippets = {}};
  plan.latents.resize(std::min(plan.latents.size(), static_cast<size_t>(asked.latents())));
  const std::vector<int32_t> special = special_ids(*codes.config, *codes.tokenizer);
  std::optional<sae::FiringCollector> own;
  sae::TokenText text;
  agree(*world.control, "plan the injection", [&] {
    text = sae::read_token_text(*codes.source, 0, codes.rows);
    const sae::TokenText contrast =
        sae::read_token_text(*codes.source, codes.rows, codes.source->rows(Split::kTrain) - codes.rows);
    plan.snippets = sae::snippets_of(contrast, codes.config->contrast().snippet(), asked.texts());
    if (plan.snippets.size() < 2) {
      refuse(fmt::format("{} holds {} snippets of {} tokens", codes.config->contrast().text(),
                         plan.snippets.size(), codes.config->contrast().snippet()),
             "an effect is told from two at least",
             "Give a longer --contrast.text or a smaller --contrast.snippet.");
    }
    own.emplace(sae::firings_in_blocks(codes.codes_folder, share_of(codes.blocks, world.size(), world.rank()),
                                       plan.latents));
  });
  Stream stream;
  for (size_t i = 0; i < plan.latents.size(); ++i) {
    plan.tokens.push_back(sae::tokens_of_latent(sae::gather_firings(own->of(i), *world.data, stream), text,
                                                special, asked.tokens(), asked.occurrences()));
  }
  return plan;
}

InjectionOutcome run_injection(const InjectionPlan& plan, const ScoredCodes& codes,
                               const sae::LatentTotals& totals, Invocation& call, Grid& grid,
                               int virtual_shards, const std::string& folder) {
  Memory memory;
  World& world = call.world;
  const auto snippets = static_cast<int64_t>(plan.snippets.size());
  std::unique_ptr<ActivationSource> source;
  std::vector<int64_t> blocks;
  agree(*world.control, "open the model for the injection", [&] {
    source =
        models::open_live_source(score_source(*codes.config), models::TokenRows(texts_of(plan, codes.seed)),
                                 codes.seed, memory, memory, codes.dictionary->encoder_precision);
    blocks = sae::sequence_blocks(*source, 0, codes.config->block_tokens());
  });
  sae::SnippetMaxima maxima(memory, plan.latents, codes.dictionary->latents, snippets,
                            codes.config->contrast().snippet(), special_ids(*codes.config, *codes.tokenizer),
                            world.rank() == 0);
  AttendedPass attended(call, folder, {&maxima});
  (void)attended.load();
  const int64_t first = maxima.blocks_done();
  const sae::PassEnd end = attended.run(
      {.dictionary = codes.dictionary,
       .source = source.get(),
       .blocks = blocks,
       .world = &world,
       .grid = &grid,
       .virtual_shards = virtual_shards,
       .encoded = [&](const sae::EncodedBlock& block) { maxima.add(block); },
       .merge = [&](int64_t done) { maxima.merge(*world.data, done); }},
      first, [&] { return maxima.blocks_done(); },
      [&](const sae::CodePass& pass) { return sae::run_code_pass(pass, first, memory); });
  InjectionOutcome outcome{.is_stopped = end == sae::PassEnd::kStopped, .lines = "", .result = {}};
  if (outcome.is_stopped) return outcome;
  std::array<int64_t, sae::kInjectionClasses> classes = {};
  for (size_t i = 0; i < plan.latents.size(); ++i) {
    const double norm = totals.decoder_norm[static_cast<size_t>(plan.latents[i])];
    outcome.lines += json::serialize(line_of(plan, i, maxima, norm, *codes.tokenizer, classes)) + "\n";
  }
  outcome.result = {{"latents", plan.latents.size()}, {"texts", snippets}, {"model_tokens", blocks.back()}};
  for (size_t c = 0; c < classes.size(); ++c) {
    outcome.result[sae::name_of(static_cast<sae::InjectionClass>(c))] = classes[c];
  }
  return outcome;
}

}  // namespace orthant::launch
