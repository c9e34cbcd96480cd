#include "runtime/report/latent_contexts.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/json/value_to.hpp>
#include <cmath>
#include <fstream>
#include <limits>
#include <optional>
#include <utility>

namespace orthant {
namespace {

namespace json = boost::json;

int64_t integer_or(const json::object& object, std::string_view name, int64_t otherwise) {
  const json::value* value = object.if_contains(name);
  json::error_code failed;
  const int64_t number = value == nullptr ? otherwise : value->to_number<int64_t>(failed);
  return failed ? otherwise : number;
}

double number_or_nan(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  json::error_code failed;
  const double number = value == nullptr ? 0.0 : value->to_number<double>(failed);
  return value == nullptr || failed ? std::numeric_limits<double>::quiet_NaN() : number;
}

// Nothing where tokens and activations do not belong together.
std::optional<ActivatingContext> context_of(const json::value& value) {
  const json::object* object = value.if_object();
  const json::value* tokens = object == nullptr ? nullptr : object->if_contains("tokens");
  const json::value* activations = object == nullptr ? nullptr : object->if_contains("activations");
  if (tokens == nullptr || activations == nullptr) return std::nullopt;
  auto token_list = json::try_value_to<std::vector<std::string>>(*tokens);
  auto activation_list = json::try_value_to<std::vector<double>>(*activations);
  if (!token_list || !activation_list || token_list->empty()) return std::nullopt;
  if (token_list->size() != activation_list->size()) return std::nullopt;
  ActivatingContext context{.tokens = std::move(*token_list), .activations = std::move(*activation_list)};
  const auto greatest = std::max_element(context.activations.begin(), context.activations.end());
  const auto fallback = static_cast<int64_t>(greatest - context.activations.begin());
  const int64_t peak = integer_or(*object, "peak", fallback);
  const bool is_inside = peak >= 0 && peak < static_cast<int64_t>(context.tokens.size());
  context.peak = static_cast<size_t>(is_inside ? peak : fallback);
  context.document = integer_or(*object, "document", -1);
  context.position = integer_or(*object, "position", -1);
  return context;
}

// Nothing where one does not fit together; at most `most` are kept.
std::optional<std::vector<ActivatingContext>> contexts_of(const json::value* value, int64_t most) {
  if (value == nullptr || !value->is_array()) return std::nullopt;
  std::vector<ActivatingContext> contexts;
  for (const json::value& one : value->get_array()) {
    std::optional<ActivatingContext> context = context_of(one);
    if (!context) return std::nullopt;
    if (static_cast<int64_t>(contexts.size()) < most) contexts.push_back(std::move(*context));
  }
  return contexts;
}

// What a file does not tell, or tells in another way, is left out.
std::vector<ActivationInterval> intervals_of(const json::object& latent, int64_t most_contexts) {
  const json::value* value = latent.if_contains("quantiles");
  std::vector<ActivationInterval> intervals;
  if (value == nullptr || !value->is_array()) return intervals;
  for (const json::value& one : value->get_array()) {
    if (!one.is_object()) continue;
    const json::object& object = one.get_object();
    auto contexts = contexts_of(object.if_contains("contexts"), most_contexts);
    if (!contexts || contexts->empty()) continue;
    intervals.push_back({number_or_nan(object, "low"), number_or_nan(object, "high"),
                         number_or_nan(object, "share"), std::move(*contexts)});
  }
  return intervals;
}

std::vector<std::string> logit_tokens(const json::object& latent, std::string_view name) {
  const json::value* value = latent.if_contains(name);
  std::vector<std::string> tokens;
  if (value == nullptr || !value->is_array()) return tokens;
  for (const json::value& one : value->get_array()) {
    const json::object* object = one.if_object();
    const json::value* token = object == nullptr ? nullptr : object->if_contains("token");
    if (token != nullptr && token->is_string()) tokens.emplace_back(token->get_string());
  }
  return tokens;
}

// Nothing where the line is damaged: no JSON, no latent, or a context that does not fit together.
std::optional<LatentExamples> latent_of(const std::string& line, int64_t most_contexts) {
  json::error_code failed;
  const json::value value = json::parse(line, failed);
  if (failed || !value.is_object()) return std::nullopt;
  const json::object& object = value.get_object();
  LatentExamples latent;
  latent.latent = integer_or(object, "latent", -1);
  latent.density = number_or_nan(object, "density");
  latent.max_activation = number_or_nan(object, "max_activation");
  latent.score = number_or_nan(object, "score");
  auto contexts = contexts_of(object.if_contains("contexts"), most_contexts);
  if (latent.latent < 0 || !contexts) return std::nullopt;
  latent.contexts = std::move(*contexts);
  latent.intervals = intervals_of(object, most_contexts);
  latent.likelier = logit_tokens(object, "top_logits");
  latent.unlikelier = logit_tokens(object, "bottom_logits");
  return latent;
}

struct Place {
  double density = 0.0;
  double score = 0.0;
  int64_t latent = 0;
  std::streamoff offset = 0;
};

// `count` of the places, evenly spread, the first and the last among them.
std::vector<Place> evenly_spread(const std::vector<Place>& places, int64_t count) {
  const auto all = static_cast<int64_t>(places.size());
  if (all <= count) return places;
  std::vector<Place> chosen;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = count == 1 ? all / 2 : i * (all - 1) / (count - 1);
    chosen.push_back(places[static_cast<size_t>(at)]);
  }
  return chosen;
}

}  // namespace

LatentContexts read_latent_contexts(const std::string& path, const ContextLimits& limits) {
  LatentContexts found;
  found.by_score = true;
  std::ifstream file(path, std::ios::binary);
  std::vector<Place> places;
  std::string line;
  std::streamoff next = 0;
  while (std::getline(file, line)) {
    const std::streamoff offset = next;
    next += static_cast<std::streamoff>(line.size()) + 1;
    if (line.empty()) continue;
    const std::optional<LatentExamples> latent = latent_of(line, 1);
    if (!latent) {
      ++found.damaged_lines;
      continue;
    }
    ++found.latents_in_file;
    if (latent->contexts.empty()) continue;
    places.push_back({latent->density, latent->score, latent->latent, offset});
    found.by_score = found.by_score && !std::isnan(latent->score);
  }
  const auto rank_of = [&](const Place& place) {
    const double rank = found.by_score ? place.score : place.density;
    return std::isnan(rank) ? 0.0 : rank;
  };
  std::sort(places.begin(), places.end(), [&](const Place& a, const Place& b) {
    return rank_of(a) != rank_of(b) ? rank_of(a) > rank_of(b) : a.latent < b.latent;
  });
  if (found.by_score) places.resize(std::min(places.size(), static_cast<size_t>(limits.latents)));
  found.by_score = found.by_score && !places.empty();
  file.clear();
  for (const Place& place : evenly_spread(places, limits.latents)) {
    file.seekg(place.offset);
    if (!std::getline(file, line)) break;
    file.clear();
    std::optional<LatentExamples> latent = latent_of(line, limits.contexts);
    if (latent) found.latents.push_back(std::move(*latent));
  }
  return found;
}

}  // namespace orthant
