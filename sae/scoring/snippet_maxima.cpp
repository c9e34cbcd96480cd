#include "sae/scoring/snippet_maxima.h"

#include <algorithm>

namespace orthant::sae {

SnippetMaxima::SnippetMaxima(Memory& memory, std::vector<int64_t> latents, int64_t all_latents,
                             int64_t snippets, int64_t snippet_tokens, std::vector<int32_t> special,
                             bool writes)
    : latents_(std::move(latents)),
      place_of_(static_cast<size_t>(all_latents), -1),
      snippets_(snippets),
      snippet_tokens_(snippet_tokens),
      special_(std::move(special)),
      writes_(writes),
      maxima_(memory, "snippet maxima",
              {static_cast<int64_t>(latents_.size()) * (1 + kInjectionKinds) * snippets}) {
  for (size_t i = 0; i < latents_.size(); ++i) {
    place_of_[static_cast<size_t>(latents_[i])] = static_cast<int32_t>(i);
  }
  maxima_.zero();
}

void SnippetMaxima::add(const EncodedBlock& block) {
  for (int64_t row = 0; row < block.codes.rows(); ++row) {
    const bool is_first = (block.first_row + row) % snippet_tokens_ == 0;
    const int32_t token = block.labels->token_ids[static_cast<size_t>(row)];
    if (!is_first && !std::binary_search(special_.begin(), special_.end(), token)) add_row(block, row);
  }
}

void SnippetMaxima::add_row(const EncodedBlock& block, int64_t row) {
  const int64_t sequence = (block.first_row + row) / snippet_tokens_;
  const int64_t snippet = sequence % snippets_;
  const int64_t injection = sequence / snippets_ - 1;  // -1: untouched
  const kernels::CodesView& codes = block.codes;
  for (int64_t e = codes.row_offsets.data[row]; e < codes.row_offsets.data[row + 1]; ++e) {
    const int64_t place = place_of_[static_cast<size_t>(codes.latents.data[e])];
    if (place < 0 || (injection >= 0 && injection / kInjectionKinds != place)) continue;
    const int kind = injection < 0 ? 0 : 1 + static_cast<int>(injection % kInjectionKinds);
    float& largest = maxima_.data()[offset(place, kind) + snippet];
    largest = std::max(largest, codes.values.data[e]);
  }
}

void SnippetMaxima::merge(Communicator& world, int64_t blocks_done) {
  blocks_done_ = blocks_done;
  if (world.size() == 1) return;
  Stream stream;
  all_reduce(world, maxima_.view(), ReduceOp::kMax, stream);
}

std::vector<TensorSlice> SnippetMaxima::state() {
  const int64_t count = maxima_.shape()[0];
  return {{.name = "maxima",
           .dtype = Dtype::kF32,
           .shape = {count},
           .rows = count,
           .data = maxima_.data(),
           .writes = writes_},
          {.name = "blocks_done",
           .dtype = Dtype::kI64,
           .shape = {1},
           .rows = 1,
           .data = &blocks_done_,
           .writes = writes_}};
}

GroupMoments SnippetMaxima::moments(int64_t place, int injection) const {
  GroupMoments found{.count = snippets_};
  const float* const values = maxima_.data() + offset(place, injection);
  for (int64_t s = 0; s < snippets_; ++s) {
    const double value = values[s];
    found.sum += value;
    found.squares += value * value;
  }
  return found;
}

InjectionEffect SnippetMaxima::effect(int64_t place, InjectionKind kind) const {
  const GroupMoments injected = moments(place, 1 + static_cast<int>(kind));
  return {cohens_d(injected, moments(place)), injected.mean()};
}

}  // namespace orthant::sae
