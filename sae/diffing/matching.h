// Which latent of one dictionary is which of another: one-to-one by an assignment over each latent's nearest
// candidates, and pairs that are each other's nearest. Not Collective: both dictionaries are whole.
#pragma once

#include <cstdint>
#include <vector>

#include "sae/dictionary/dictionary.h"
#include "sae/diffing/assignment.h"

namespace orthant::sae {

struct DictionaryMatch {
  Assignment assignment;              // rows: latents of `a`, columns: latents of `b`, values: cosines
  std::vector<float> cosine;          // [latents of a] of the assigned pair; 0 where there is none
  std::vector<int64_t> nearest;       // [latents of a] the nearest latent of b; -1 where no cosine is above 0
  std::vector<float> nearest_cosine;  // [latents of a]
  std::vector<bool> mutually_nearest;  // [latents of a]
};

// `candidates` of each latent take part in the assignment. Cosines are of decoder rows; only those above 0
// count. `epsilon`: what the assignment may lose of each latent's cosine.
[[nodiscard]] DictionaryMatch match_dictionaries(const Dictionary& a, const Dictionary& b, int64_t candidates,
                                                 double epsilon);

}  // namespace orthant::sae
