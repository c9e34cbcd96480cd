// contexts.jsonl: where single latents are most active, one latent a line. Reads only; thread-safe.
#pragma once

#include <cstdint>
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

struct LatentExamples {
  int64_t latent = 0;
  double density = 0.0;  // share of tokens in which it fires
  double max_activation = 0.0;
  std::vector<ActivatingContext> contexts;
};

struct LatentContexts {
  int64_t latents_in_file = 0;
  int64_t damaged_lines = 0;
  std::vector<LatentExamples> latents;  // by descending density
};

// Keeps `limits.latents` latents, evenly spread over the ranks of density among those that have a context.
// The file is read twice and never held. An absent file holds nothing.
[[nodiscard]] LatentContexts read_latent_contexts(const std::string& path, const ContextLimits& limits);

}  // namespace orthant
