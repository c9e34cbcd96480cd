// contexts.jsonl: where single latents are most active, one latent a line. Reads only; thread-safe.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace orthant {

struct ContextLimits {
  int64_t latents = 24;  // that are kept of a run
  int64_t contexts = 5;  // that are kept of a latent
};

struct ActivatingContext {
  std::vector<std::string> tokens;
  std::vector<double> activations;  // as long as tokens
  size_t peak = 0;                  // the token the context was chosen for
  int64_t document = -1;            // -1: not told
  int64_t position = -1;
};

// Activations in (low, high], with some places where the latent has them.
struct ActivationInterval {
  double low = 0.0;
  double high = 0.0;
  double share = 0.0;  // of tokens
  std::vector<ActivatingContext> contexts;
};

struct LatentExamples {
  int64_t latent = 0;
  double density = 0.0;  // share of tokens in which it fires
  double max_activation = 0.0;
  double score = std::numeric_limits<double>::quiet_NaN();  // NaN: has none
  std::vector<ActivatingContext> contexts;
  std::vector<ActivationInterval> intervals;  // the highest first
  std::vector<std::string> likelier;          // tokens that it makes likely, the most first
  std::vector<std::string> unlikelier;
};

struct LatentContexts {
  int64_t latents_in_file = 0;
  int64_t damaged_lines = 0;
  bool by_score = false;                // false: by density
  std::vector<LatentExamples> latents;  // descending
};

// Of the latents that have a context keeps `limits.latents`: where all have a score the best, else evenly
// spread over the ranks of density.
// The file is read twice and never held. An absent file holds nothing.
[[nodiscard]] LatentContexts read_latent_contexts(const std::string& path, const ContextLimits& limits);

}  // namespace orthant
