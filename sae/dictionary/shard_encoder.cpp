#include "sae/dictionary/shard_encoder.h"

#include <omp.h>

#include <algorithm>

#include "kernels/codes/append_codes.h"
#include "kernels/codes/dead_latents.h"
#include "kernels/dense/elementwise.h"
#include "kernels/dense/row_moments.h"
#include "sae/dictionary/reconstruction.h"

namespace orthant::sae {
namespace {

int64_t ranked_latents(const Dictionary& dictionary) {
  return dictionary.rescale_acts_by_decoder_norm ? dictionary.local_latents() : 0;
}

// Latents for each selected one from which on a screen pays: the products it leaves cost eight times those of
// a whole tile.
constexpr int64_t kScreenedPerSelected = 32;

bool uses_screen(const Dictionary& dictionary, Device device) {
  if (device.kind != DeviceKind::kCpu) return false;
  const bool selects_k =
      dictionary.architecture == Architecture::kTopK || dictionary.architecture == Architecture::kBatchTopK;
  return selects_k && kernels::screen_ops(kernels::active_isa()) != nullptr &&
         dictionary.k * kScreenedPerSelected <= dictionary.latents;
}

}  // namespace

std::vector<int64_t> latents_per_shard(int64_t latents, int shards, int virtual_shards) {
  std::vector<int64_t> counts;
  for (int s = 0; s < shards; ++s) counts.push_back(latent_slice(latents, shards, s, virtual_shards).count);
  return counts;
}

ShardEncoder::ShardEncoder(Memory& memory, const Dictionary& dictionary, int64_t rows, int64_t k,
                           int64_t k_chosen, Communicator& shards, int virtual_shards, int64_t exchange_rows)
    : shards_(&shards),
      screens_(uses_screen(dictionary, memory.device())),
      encoder_(memory, "packed encoder", screens_ ? 0 : dictionary.local_latents(), dictionary.d_model,
               dictionary.encoder_precision, product_order(virtual_shards)),
      screened_(memory, "packed encoder", screens_ ? dictionary.local_latents() : 0, dictionary.d_model,
                dictionary.encoder_precision),
      chosen_encoder_(memory, "packed encoder", k_chosen > 0 ? dictionary.local_latents() : 0,
                      dictionary.d_model, dictionary.encoder_precision, product_order(virtual_shards)),
      workspace_(memory, omp_get_max_threads(), std::max(k, k_chosen), dictionary.d_model,
                 WatchedTops::kept(k_chosen, dictionary.local_latents(), memory.device())),
      watched_(memory, rows, WatchedTops::kept(k_chosen, dictionary.local_latents(), memory.device()),
               dictionary.slice),
      decoder_norms_(memory, "packed encoder", {ranked_latents(dictionary)}),
      chosen_bias_(memory, "packed encoder", {dictionary.local_latents()}),
      chosen_numbers_(memory, "packed encoder", {dictionary.local_latents()}),
      latents_per_shard_(latents_per_shard(dictionary.latents, shards.size(), virtual_shards)),
      selection_(memory, rows, std::max(k, k_chosen), shards.size()) {
  const bool exchanges = dictionary.architecture == Architecture::kTopK && shards.size() > 1;
  if (!exchanges || memory.device().kind == DeviceKind::kCpu || rows <= exchange_rows) return;
  pipeline_ = ExchangePipeline(memory, exchange_rows, std::min(k, dictionary.local_latents()));
}

void ShardEncoder::pack(const Dictionary& dictionary, Stream& stream) {
  if (screens_) {
    screened_.pack(dictionary.encoder.view(), kernels::active_isa(), stream);
  } else {
    encoder_.pack(dictionary.encoder.view(), stream);
  }
  if (decoder_norms_.shape()[0] > 0) {
    kernels::row_norms(dictionary.decoder.view(), decoder_norms_.view(), stream, dictionary.sources);
  }
}

void ShardEncoder::center(const Dictionary& dictionary, Matrix<const float> x, Matrix<float> centred,
                          Stream& stream) const {
  if (dictionary.subtract_decoder_bias) {
    kernels::subtract_row(x, dictionary.decoder_bias.view(), centred, stream);
  } else if (x.data != centred.data) {
    kernels::copy(kernels::flat(x), kernels::flat(centred), stream);
  }
}

kernels::EncodeArgs ShardEncoder::arguments(Matrix<const float> centred, const Dictionary& dictionary) const {
  kernels::EncodeArgs args{.input = centred, .first_latent = dictionary.slice.first};
  if (screens_) {
    args.screened = &screened_;
  } else {
    args.encoder = &encoder_;
  }
  if (dictionary.has_encoder_bias) args.bias = dictionary.encoder_bias.view();
  args.selection_scale = decoder_norms_.view();
  return args;
}

void ShardEncoder::select_rows(kernels::CodesView candidates, const Dictionary& dictionary, Stream& stream) {
  selection_.select(candidates, dictionary.k, latents_per_shard_, dictionary.slice.first,
                    decoder_norms_.view(), *shards_, stream);
  second_round_rows_ += selection_.rounds().second_round_rows;
}

void ShardEncoder::topk(Matrix<const float> centred, const Dictionary& dictionary, kernels::CodesView out,
                        Stream& stream, const RowsSelected& selected) {
  second_round_rows_ = 0;
  const int64_t rows = centred.shape[0];
  if (!pipeline_.overlaps(rows)) {
    kernels::EncodeArgs args = arguments(centred, dictionary);
    args.beside = watched_.of_encode(rows);
    kernels::encode_topk(args, dictionary.k, workspace_, out, stream);
    select_rows(out, dictionary, stream);
    return selected({0, rows}, stream);
  }
  require(!can_watch(), "candidates are kept of whole batches");
  pipeline_.run(
      rows,
      [&](Share block, kernels::CodesView codes, Stream& main) {
        const kernels::EncodeArgs args = arguments(centred.rows(block.first, block.count), dictionary);
        kernels::encode_topk(args, dictionary.k, workspace_, codes, main);
      },
      [&](Share block, kernels::CodesView codes, Stream& lane) {
        select_rows(codes, dictionary, lane);
        kernels::append_codes(codes, block.first, out, lane);
        selected(block, lane);
      },
      stream);
}

int64_t ShardEncoder::above(Matrix<const float> centred, const Dictionary& dictionary, float threshold,
                            kernels::CodesView out, Stream& stream) {
  kernels::EncodeArgs args = arguments(centred, dictionary);
  args.beside = watched_.of_encode(centred.shape[0]);
  return kernels::encode_above(args, threshold, dictionary.thresholds.view(), workspace_, out, stream);
}

void ShardEncoder::watch(Vector<const uint64_t> eligible) {
  watched_.watch(eligible);
}

bool ShardEncoder::topk_chosen(Matrix<const float> centred, const Dictionary& dictionary,
                               Vector<const int32_t> chosen, std::span<const int64_t> chosen_per_shard,
                               int64_t k, kernels::CodesView out, Stream& stream) {
  const bool multiplies = !watched_.choose(chosen, k, out);
  if (multiplies) multiply_chosen(centred, dictionary, chosen, k, out, stream);
  selection_.select(out, k, chosen_per_shard, 0, {}, *shards_, stream);
  return multiplies;
}

void ShardEncoder::multiply_chosen(Matrix<const float> centred, const Dictionary& dictionary,
                                   Vector<const int32_t> chosen, int64_t k, kernels::CodesView out,
                                   Stream& stream) {
  const int64_t count = chosen.shape[0];
  chosen_encoder_.pack_chosen(dictionary.encoder.view(), chosen, stream);
  kernels::gather_chosen(chosen, dictionary.slice.first, dictionary.encoder_bias.view(),
                         chosen_bias_.view().rows(0, count), chosen_numbers_.view().rows(0, count), stream);
  kernels::EncodeArgs args{.input = centred, .encoder = &chosen_encoder_};
  if (dictionary.has_encoder_bias) args.bias = chosen_bias_.view().rows(0, count);
  args.latent_numbers = chosen_numbers_.view().rows(0, count);
  kernels::encode_topk(args, k, workspace_, out, stream);
}

}  // namespace orthant::sae
