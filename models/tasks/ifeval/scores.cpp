#include "models/tasks/ifeval/scores.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "models/tasks/ifeval/following.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

// Of one prompt: its instructions, or itself as the only one.
struct Tally {
  double followed = 0.0;
  double of = 0.0;
};

struct Accuracy {
  double value = 0.0;
  double error = 0.0;
};

double sum_of(const std::vector<Tally>& tallies, const std::function<double(const Tally&)>& term) {
  double sum = 0.0;
  for (const Tally& tally : tallies) sum += term(tally);
  return sum;
}

// With one instruction a prompt the error is sqrt(p (1 - p) / (P - 1)).
Accuracy accuracy_of(const std::vector<Tally>& tallies) {
  constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
  const auto prompts = static_cast<double>(tallies.size());
  if (tallies.empty()) return {kNothing, kNothing};
  const double all = sum_of(tallies, [](const Tally& tally) { return tally.of; });
  const double value = sum_of(tallies, [](const Tally& tally) { return tally.followed; }) / all;
  if (tallies.size() == 1) return {value, kNothing};
  const double squares = sum_of(tallies, [value](const Tally& tally) {
    const double residual = tally.followed - value * tally.of;
    return residual * residual;
  });
  return {value, std::sqrt(prompts / (prompts - 1.0) * squares) / all};
}

Tally tally_of(const std::vector<uint8_t>& verdicts) {
  return {static_cast<double>(std::ranges::count(verdicts, 1)), static_cast<double>(verdicts.size())};
}

bool all_of(const std::vector<uint8_t>& verdicts) {
  return std::ranges::all_of(verdicts, [](uint8_t verdict) { return verdict != 0; });
}

}  // namespace

bool IfevalVerdicts::all_strict() const {
  return all_of(strict);
}
bool IfevalVerdicts::all_loose() const {
  return all_of(loose);
}

IfevalVerdicts ifeval_verdicts(const IfevalDocument& document, std::string_view response) {
  IfevalVerdicts verdicts;
  verdicts.unchecked_instructions = document.unchecked_instructions;
  for (const Instruction& instruction : document.instructions) {
    const bool is_strict = follows(instruction, response);
    verdicts.strict.push_back(is_strict ? 1 : 0);
    verdicts.loose.push_back(is_strict || follows_loosely(instruction, response) ? 1 : 0);
  }
  return verdicts;
}

IfevalScores ifeval_scores(std::vector<IfevalVerdicts> documents) {
  IfevalScores scores;
  std::vector<Tally> prompt_strict;
  std::vector<Tally> prompt_loose;
  std::vector<Tally> instruction_strict;
  std::vector<Tally> instruction_loose;
  for (const IfevalVerdicts& document : documents) {
    scores.unchecked_instructions += document.unchecked_instructions;
    if (document.strict.empty()) {
      ++scores.unchecked_prompts;
      continue;
    }
    ++scores.prompts;
    scores.instructions += std::ssize(document.strict);
    prompt_strict.push_back({document.all_strict() ? 1.0 : 0.0, 1.0});
    prompt_loose.push_back({document.all_loose() ? 1.0 : 0.0, 1.0});
    instruction_strict.push_back(tally_of(document.strict));
    instruction_loose.push_back(tally_of(document.loose));
  }
  const auto set = [](const std::vector<Tally>& tallies, double& value, double& error) {
    const Accuracy accuracy = accuracy_of(tallies);
    value = accuracy.value;
    error = accuracy.error;
  };
  set(prompt_strict, scores.prompt_strict, scores.prompt_strict_error);
  set(prompt_loose, scores.prompt_loose, scores.prompt_loose_error);
  set(instruction_strict, scores.instruction_strict, scores.instruction_strict_error);
  set(instruction_loose, scores.instruction_loose, scores.instruction_loose_error);
  scores.documents = std::move(documents);
  return scores;
}

IfevalScores ifeval_scores(std::span<const IfevalDocument> documents,
                           std::span<const std::string> responses) {
  require(documents.size() == responses.size(), "each IFEval prompt has a response");
  std::vector<IfevalVerdicts> verdicts;
  verdicts.reserve(documents.size());
  for (size_t i = 0; i < documents.size(); ++i) {
    verdicts.push_back(ifeval_verdicts(documents[i], responses[i]));
  }
  return ifeval_scores(std::move(verdicts));
}

}  // namespace orthant::models
