#include "sae/training/dead_latents.h"

#include "kernels/codes/code_summary.h"

namespace orthant::sae {
namespace {

int64_t words_of(int64_t latents, const Memory& memory) {
  return memory.device().kind == DeviceKind::kCpu ? (latents + 63) / 64 : 0;
}

}  // namespace

DeadLatents::DeadLatents(Memory& memory, Share slice, int64_t threshold_tokens)
    : slice_(slice),
      threshold_tokens_(threshold_tokens),
      tokens_(memory, "latent statistics", {slice.count}),
      fired_(memory, "latent statistics", {slice.count}),
      list_(memory, "latent statistics", {slice.count}),
      scratch_(memory, "latent statistics", {kernels::dead_list_scratch(slice.count)}),
      bits_(memory, "latent statistics", {words_of(slice.count, memory)}) {
  tokens_.zero();
  fired_.zero();
}

void DeadLatents::mark(kernels::CodesView codes, bool by_selection, Stream& stream) {
  kernels::mark_fired(codes, slice_.first, by_selection, fired_.view(), stream);
}

void DeadLatents::advance(int64_t tokens, Stream& stream) {
  kernels::age_latents(tokens, fired_.view(), tokens_.view(), stream);
}

Vector<const uint64_t> DeadLatents::dead_within(int64_t tokens) {
  require(bits_.view().device == kCpu, "bits of dead latents are asked for on the CPU");
  bits_.zero();
  for (int64_t i = 0; i < slice_.count; ++i) {
    if (tokens_.data()[i] + tokens >= threshold_tokens_) bits_.data()[i / 64] |= uint64_t{1} << (i % 64);
  }
  return bits_.view();
}

Vector<const int32_t> DeadLatents::list_dead(Stream& stream) {
  const int64_t count =
      kernels::list_dead(tokens_.view(), threshold_tokens_, list_.view(), scratch_.view(), stream);
  return Vector<const int32_t>(list_.view()).rows(0, count);
}

}  // namespace orthant::sae
