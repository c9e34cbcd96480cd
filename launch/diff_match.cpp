// `orthant diff match`: which latent of one dictionary is which of another.

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value_from.hpp>

#include "launch/config.pb.h"
#include "launch/required_field.h"
#include "launch/verb.h"
#include "sae/diffing/matching.h"
#include "sae/exchange/load_dictionary.h"
#include "sae/measure/neighbour_cosines.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

struct Pair {
  sae::Dictionary reference;
  sae::Dictionary other;
};

Pair open_pair(const DiffMatch& own, Memory& memory) {
  Pair pair{
      .reference = sae::load_dictionary(required_field("reference", own.reference()), memory).dictionary,
      .other = sae::load_dictionary(required_field("other", own.other()), memory).dictionary};
  if (pair.reference.d_model == pair.other.d_model) return pair;
  throw Error(ExitCode::kConfig, {.problem = fmt::format("the reference has d_model {}, the other {}",
                                                         pair.reference.d_model, pair.other.d_model),
                                  .why = "their latents are no directions of the same space",
                                  .suggestion = "Match dictionaries of the same width."});
}

double share(int64_t count, int64_t of) {
  return static_cast<double>(count) / static_cast<double>(std::max<int64_t>(of, 1));
}

ExitCode run_match(Invocation& invocation) {
  const DiffMatch& own = invocation.own<DiffMatch>();
  Memory memory;
  json::object result;
  // Every rank has the whole of both and finds the same.
  agree(*invocation.world.control, "match the dictionaries", [&] {
    const Pair pair = open_pair(own, memory);
    const sae::DictionaryMatch match =
        sae::match_dictionaries(pair.reference, pair.other, own.candidates(), own.epsilon());
    const auto at_threshold = [&](const std::vector<float>& cosines) {
      return std::count_if(cosines.begin(), cosines.end(), [&](float c) { return c >= own.threshold(); });
    };
    const auto mutual = std::count(match.mutually_nearest.begin(), match.mutually_nearest.end(), true);
    const int64_t latents = pair.reference.latents;
    const int64_t pairs =
        latents - std::count(match.assignment.column.begin(), match.assignment.column.end(), -1);
    json::array mutually_nearest;
    for (const bool is_mutual : match.mutually_nearest) mutually_nearest.emplace_back(is_mutual);
    result = {{"reference", own.reference()},
              {"other", own.other()},
              {"latents", latents},
              {"pairs", pairs},
              {"mean_cosine", sae::mean_of(match.cosine)},
              {"share_at_threshold", share(at_threshold(match.cosine), latents)},
              {"mutually_nearest_share", share(mutual, latents)},
              {"mean_nearest_cosine", sae::mean_of(match.nearest_cosine)},
              {"sum", match.assignment.sum},
              {"gap_of_candidates", match.assignment.bound - match.assignment.sum},
              {"gap_of_all_pairs", match.assignment.bound_of_all_pairs - match.assignment.sum},
              {"assigned", json::value_from(match.assignment.column)},
              {"cosine", json::value_from(match.cosine)},
              {"nearest", json::value_from(match.nearest)},
              {"mutually_nearest", mutually_nearest}};
  });
  return invocation.finish(result);
}

}  // namespace

Verb diff_match_verb() {
  return {.name = "diff match",
          .summary = "match the latents of two dictionaries one to one by their cosines",
          .schema = DiffMatch::descriptor(),
          .run_use = RunUse::kOptional,
          .run = run_match};
}

}  // namespace orthant::launch
