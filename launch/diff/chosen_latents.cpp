#include "launch/diff/chosen_latents.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <set>

#include "runtime/core/error.h"
#include "runtime/core/rng.h"
#include "runtime/storage/file.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

std::vector<int64_t> latents_of_features(const std::string& run) {
  std::vector<int64_t> latents;
  const json::value result = json::parse(read_file(run + "/result.json"));
  const json::value* const features = result.as_object().if_contains("features");
  if (features == nullptr || !features->is_array()) {
    throw Error(ExitCode::kData, {.problem = fmt::format("{} chose no latents", run),
                                  .why = "its result has no features",
                                  .suggestion = "Give a finished run of orthant score, or --latents."});
  }
  for (const json::value& feature : features->as_array()) latents.push_back(feature.at("latent").as_int64());
  return latents;
}

}  // namespace

std::vector<int64_t> chosen_latents(std::span<const int64_t> latents, const std::string& features,
                                    int64_t of) {
  std::vector<int64_t> chosen(latents.begin(), latents.end());
  if (chosen.empty() && !features.empty()) chosen = latents_of_features(features);
  for (const int64_t latent : chosen) {
    if (latent >= 0 && latent < of) continue;
    throw Error(ExitCode::kConfig, {.problem = fmt::format("the reference has no latent {}", latent),
                                    .why = fmt::format("it has {}, counted from 0", of),
                                    .suggestion = "Give latents of the reference."});
  }
  return chosen;
}

std::vector<int64_t> other_latents(std::span<const int64_t> taken, int64_t of, int64_t count, uint64_t seed) {
  std::set<int64_t> known(taken.begin(), taken.end());
  count = std::min(count, of - static_cast<int64_t>(known.size()));
  std::vector<int64_t> others;
  for (uint64_t draw = 0; static_cast<int64_t>(others.size()) < count; ++draw) {
    const auto latent = static_cast<int64_t>(random_u64(seed, Purpose::kRandomDictionary, 1, draw) %
                                             static_cast<uint64_t>(of));
    if (known.insert(latent).second) others.push_back(latent);
  }
  return others;
}

}  // namespace orthant::launch
