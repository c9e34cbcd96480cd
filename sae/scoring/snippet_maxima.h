// The largest activation of chosen latents in every snippet of an injection experiment.
//
// Its text is first the snippets untouched, in each of which all latents count, then for each latent and kind
// of injection the same snippets injected, in which that latent counts. Every snippet is a sequence of the
// same length; its first token is not looked at. Memory is allocated at construction. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/comm/world.h"
#include "runtime/job/checkpointable.h"
#include "sae/scoring/code_pass.h"
#include "sae/scoring/token_injection.h"

namespace orthant::sae {

struct InjectionEffect {
  double d = 0.0;     // injected against untouched
  double mean = 0.0;  // largest activation, over the injected snippets
};

class SnippetMaxima : public Checkpointable {
 public:
  // `latents` of `all_latents`; `special` (ascending): tokens that are not looked at. `writes`: of one rank.
  SnippetMaxima(Memory& memory, std::vector<int64_t> latents, int64_t all_latents, int64_t snippets,
                int64_t snippet_tokens, std::vector<int32_t> special, bool writes);
  // Snippets of the whole text, untouched and injected.
  [[nodiscard]] static int64_t sequences(int64_t latents, int64_t snippets) {
    return snippets * (1 + latents * kInjectionKinds);
  }

  // Local.
  void add(const EncodedBlock& block);
  // Collective over the world: every rank has what all had.
  void merge(Communicator& world, int64_t blocks_done);
  [[nodiscard]] int64_t blocks_done() const { return blocks_done_; }
  [[nodiscard]] std::vector<TensorSlice> state() override;

  // After merge(), of latents[place].
  [[nodiscard]] double untouched_mean(int64_t place) const { return moments(place).mean(); }
  [[nodiscard]] InjectionEffect effect(int64_t place, InjectionKind kind) const;

 private:
  // The values of one latent in untouched snippets, or in those of an injection: [snippets].
  [[nodiscard]] int64_t offset(int64_t place, int injection) const {
    return (place * (1 + kInjectionKinds) + injection) * snippets_;
  }
  [[nodiscard]] GroupMoments moments(int64_t place, int injection = 0) const;
  void add_row(const EncodedBlock& block, int64_t row);

  std::vector<int64_t> latents_;
  std::vector<int32_t> place_of_;  // [all_latents] -1: not chosen
  int64_t snippets_;
  int64_t snippet_tokens_;
  std::vector<int32_t> special_;
  bool writes_;
  int64_t blocks_done_ = 0;
  Tensor<float, 1> maxima_;  // [latents * (1 + kinds) * snippets]
};

}  // namespace orthant::sae
