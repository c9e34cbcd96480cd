#include "launch/diff/presence_trajectories.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json/value_from.hpp>
#include <cmath>

#include "launch/program/refuse.h"
#include "sae/diffing/trajectory.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

constexpr char kThen = ':';

std::vector<std::string> parts_of(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == kThen) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

double share(int64_t count, size_t of) {
  return of == 0 ? 0.0 : static_cast<double>(count) / static_cast<double>(of);
}

sae::Trajectory followed(const StageChain& chain, const std::vector<std::vector<bool>>& stages) {
  std::vector<std::vector<bool>> present;
  for (const size_t stage : chain.stages) present.push_back(stages[stage]);
  return sae::follow(present);
}

json::object specific_row(const std::string& chain, const std::vector<bool>& asked_are,
                          const std::vector<bool>& random_are, const std::vector<int64_t>& asked) {
  json::array numbers;
  for (size_t i = 0; i < asked.size(); ++i) {
    if (asked_are[i]) numbers.emplace_back(asked[i]);
  }
  const auto count = static_cast<int64_t>(numbers.size());
  const double found = share(count, asked.size());
  const double draws = std::max<double>(1.0, static_cast<double>(asked.size()));
  const auto random = std::count(random_are.begin(), random_are.end(), true);
  return {{"trajectory", chain},
          {"specific", count},
          {"share", found},
          {"share_stderr", std::sqrt(found * (1.0 - found) / draws)},
          {"random_share", share(random, random_are.size())},
          {"latents", numbers}};
}

void keep_both(std::vector<bool>& all, const std::vector<bool>& more) {
  for (size_t i = 0; i < all.size(); ++i) all[i] = all[i] && more[i];
}

}  // namespace

std::vector<StageChain> parse_chains(const std::vector<std::string>& texts,
                                     const std::vector<std::string>& names) {
  std::vector<StageChain> chains;
  for (const std::string& text : texts) {
    StageChain chain{.text = text, .stages = {}};
    for (const std::string& part : parts_of(text)) {
      const auto at = std::find(names.begin(), names.end(), part);
      if (at == names.end()) {
        refuse(fmt::format("the trajectory '{}' goes through '{}', which is no stage", text, part),
               fmt::format("the stages are called {}", fmt::join(names, ", ")),
               "Name the stages in their order by --names, and give --trajectories=FIRST:SECOND.");
      }
      chain.stages.push_back(static_cast<size_t>(at - names.begin()));
    }
    if (chain.stages.size() < 2) {
      refuse(fmt::format("the trajectory '{}' has one stage", text),
             "latents are followed from one to another", "Give --trajectories=FIRST:SECOND.");
    }
    chains.push_back(std::move(chain));
  }
  return chains;
}

json::array trajectory_rows(const std::vector<StageChain>& chains, const std::vector<std::string>& names,
                            const StagePresences& presences) {
  json::array rows;
  for (const StageChain& chain : chains) {
    const sae::Trajectory asked = followed(chain, presences.asked);
    const sae::Trajectory random = followed(chain, presences.random);
    const size_t latents = presences.asked.front().size(), others = presences.random.front().size();
    for (size_t i = 0; i < chain.stages.size(); ++i) {
      rows.push_back(json::object{{"trajectory", chain.text},
                                  {"stage", names[chain.stages[i]]},
                                  {"share", share(asked.stages[i].present, latents)},
                                  {"gained", share(asked.stages[i].gained, latents)},
                                  {"lost", share(asked.stages[i].lost, latents)},
                                  {"random_share", share(random.stages[i].present, others)},
                                  {"random_gained", share(random.stages[i].gained, others)},
                                  {"random_lost", share(random.stages[i].lost, others)}});
    }
  }
  return rows;
}

json::array specific_rows(const std::vector<StageChain>& chains, const StagePresences& presences,
                          const std::vector<int64_t>& asked) {
  json::array rows;
  std::vector<bool> of_all(asked.size(), true), random_of_all(presences.random.front().size(), true);
  for (const StageChain& chain : chains) {
    const sae::Trajectory found = followed(chain, presences.asked);
    const sae::Trajectory random = followed(chain, presences.random);
    rows.push_back(specific_row(chain.text, found.is_specific, random.is_specific, asked));
    keep_both(of_all, found.is_specific);
    keep_both(random_of_all, random.is_specific);
  }
  if (chains.size() > 1) rows.push_back(specific_row("all of these", of_all, random_of_all, asked));
  return rows;
}

}  // namespace orthant::launch
