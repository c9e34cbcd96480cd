// Where latents fire most: the tokens around each latent's largest activations, with its activation at each.
//
// Rows are those that the source gives in file order; what it leaves out (first positions, say) stands in no
// context. The result does not depend on the number of ranks. Collective over the world; not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/comm/world.h"
#include "runtime/job/activation_source.h"
#include "sae/dictionary/dictionary.h"
#include "sae/measure/firings.h"

namespace orthant::sae {

struct ContextOptions {
  Split split = Split::kHoldout;
  int64_t rows = 0;  // the first so many of the split
  int64_t top = 5;   // contexts of a latent
  int64_t width =
      24;  // tokens of a context, about as many before the peak as after; fewer at a document's ends
};

struct Context {
  std::vector<int32_t> token_ids;
  std::vector<float> activations;  // of the latent at each token; 0 where it does not fire
  int64_t peak = 0;                // index of the largest
  int64_t document = 0;
  int64_t position = 0;  // of the peak within its row of the language model
};

struct LatentContexts {
  int64_t latent = 0;
  float max_activation = 0.0f;    // over all rows
  std::vector<Context> contexts;  // by falling activation at the peak, ties by row; no peak is in another
};

// `count` of the latents that fired, evenly by rank of density; all of them where there are fewer.
// `densities` [latents].
[[nodiscard]] std::vector<int64_t> latents_across_densities(std::span<const float> densities, int64_t count);

// Local. Cut out of the labels of a source in file order; no context where it has no tokens.
[[nodiscard]] LatentContexts contexts_of(int64_t latent, const Firings& firings, ActivationSource& source,
                                         const ContextOptions& options);

// Activations in (low, high] of one latent, with some places where it has them.
struct ContextInterval {
  double low = 0.0;
  double high = 0.0;
  double share = 0.0;             // of all rows
  std::vector<Context> contexts;  // drawn by (seed, latent), at most options.top, in the order of rows
};

// Local. `intervals` of equal width from 0 to the largest activation, the highest first: what SAEDashboard
// calls quantile groups. None where the latent never fires or there are no tokens.
[[nodiscard]] std::vector<ContextInterval> interval_contexts(int64_t latent, const Firings& firings,
                                                             ActivationSource& source,
                                                             const ContextOptions& options, int intervals,
                                                             uint64_t seed);

// On every rank, in the order of `latents`. Empty where the source has no tokens.
[[nodiscard]] std::vector<LatentContexts> find_top_contexts(const Dictionary& dictionary,
                                                            ActivationSource& source,
                                                            std::span<const int64_t> latents,
                                                            const ContextOptions& options, World& world,
                                                            Grid& grid, int virtual_shards);

}  // namespace orthant::sae
