#include "sae/dictionary/inference.h"

#include <algorithm>

namespace orthant::sae {
namespace {

int64_t first_capacity(const Dictionary& d, int64_t rows) {
  if (d.architecture == Architecture::kTopK) return std::min(d.k, d.local_latents()) * rows;
  const int64_t guess = d.k > 0 ? 4 * d.k : std::max<int64_t>(64, d.local_latents() / 16);
  return std::min(guess, d.local_latents()) * rows;
}

float threshold_of(const Dictionary& d) {
  return d.architecture == Architecture::kBatchTopK ? static_cast<float>(std::max(d.threshold, 0.0)) : 0.0f;
}

}  // namespace

Inference::Inference(Memory& memory, const Dictionary& dictionary, int64_t rows, Communicator& shards,
                     int virtual_shards)
    : memory_(&memory),
      dictionary_(&dictionary),
      shards_(&shards),
      rows_(rows),
      stream_(memory.working_device()),
      sum_(memory, dictionary.latents, dictionary.d_model, shards, virtual_shards),
      encoder_(memory, dictionary, rows, std::max<int64_t>(dictionary.k, 1), 0, shards, virtual_shards),
      scaler_(memory, "inference", dictionary, rows, product_order(virtual_shards)),
      centred_(memory, "inference", {rows, dictionary.d_model}),
      codes_(memory, rows, first_capacity(dictionary, rows)) {
  pack();
}

void Inference::pack() {
  scaler_.prepare(stream_);
  encoder_.pack(*dictionary_, stream_);
}

kernels::CodesView Inference::encode(Matrix<const float> x) {
  const Matrix<float> centred = centred_.view().rows(0, x.shape[0]);
  copy_bytes(centred.data, centred.device, x.data, x.device, x.bytes());
  scaler_.scale(centred, stream_);
  encoder_.center(*dictionary_, centred, centred, stream_);
  view_ = codes_.view(x.shape[0]);
  if (dictionary_->architecture == Architecture::kTopK) {
    encoder_.topk(centred, *dictionary_, view_, stream_);
    return view_;
  }
  const int64_t found = encoder_.above(centred, *dictionary_, threshold_of(*dictionary_), view_, stream_);
  if (found > view_.capacity()) {
    codes_ = kernels::Codes(*memory_, rows_, found + found / 4);
    return encode(x);
  }
  return view_;
}

void Inference::decode(Matrix<float> out) {
  sum_.decode(view_, dictionary_->decoder.view(), dictionary_->decoder_bias.view(), out, stream_);
  scaler_.unscale(out, stream_);
}

}  // namespace orthant::sae
