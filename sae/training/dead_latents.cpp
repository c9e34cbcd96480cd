#include "sae/training/dead_latents.h"

namespace orthant::sae {

DeadLatents::DeadLatents(Memory& memory, Share slice, int64_t threshold_tokens)
    : slice_(slice),
      threshold_tokens_(threshold_tokens),
      tokens_(memory, "latent statistics", {slice.count}),
      fired_(memory, "latent statistics", {slice.count}),
      list_(memory, "latent statistics", {slice.count}),
      bits_(memory, "latent statistics", {(slice.count + 63) / 64}) {
  tokens_.zero();
  fired_.zero();
}

void DeadLatents::mark(kernels::CodesView codes, bool by_selection) {
  for (int64_t e = codes.row_offsets.data[0]; e < codes.entries(); ++e) {
    const int64_t local = codes.latents.data[e] - slice_.first;
    if (local < 0 || local >= slice_.count) continue;
    if (by_selection || codes.values.data[e] > 0.0f) fired_.data()[local] = 1;
  }
}

void DeadLatents::advance(int64_t tokens) {
  for (int64_t i = 0; i < slice_.count; ++i) {
    tokens_.data()[i] = fired_.data()[i] != 0 ? 0 : tokens_.data()[i] + tokens;
  }
  fired_.zero();
}

Vector<const uint64_t> DeadLatents::dead_within(int64_t tokens) {
  bits_.zero();
  for (int64_t i = 0; i < slice_.count; ++i) {
    if (tokens_.data()[i] + tokens >= threshold_tokens_) bits_.data()[i / 64] |= uint64_t{1} << (i % 64);
  }
  return bits_.view();
}

Vector<const int32_t> DeadLatents::dead() {
  int64_t count = 0;
  for (int64_t i = 0; i < slice_.count; ++i) {
    if (tokens_.data()[i] >= threshold_tokens_) list_.data()[count++] = static_cast<int32_t>(i);
  }
  return Vector<const int32_t>(list_.view()).rows(0, count);
}

}  // namespace orthant::sae
