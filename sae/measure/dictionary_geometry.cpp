#include "sae/measure/dictionary_geometry.h"

#include <cmath>

#include "kernels/isa/vector.h"
#include "sae/dictionary/host_dictionary.h"
#include "sae/dictionary/reconstruction.h"
#include "sae/measure/neighbour_cosines.h"

namespace orthant::sae {
namespace {

std::vector<float> own_angles(const Dictionary& d) {
  std::vector<float> cosines(static_cast<size_t>(d.local_latents()));
#pragma omp parallel for
  for (int64_t i = 0; i < d.local_latents(); ++i) {
    const float* encoder = d.encoder.view().row(i);
    const float* decoder = d.decoder.view().row(i);
    double product = 0.0, encoder_square = 0.0, decoder_square = 0.0;
    for (int64_t c = 0; c < d.d_model; ++c) {
      product += static_cast<double>(encoder[c]) * decoder[c];
      encoder_square += static_cast<double>(encoder[c]) * encoder[c];
      decoder_square += static_cast<double>(decoder[c]) * decoder[c];
    }
    const double norms = std::sqrt(encoder_square) * std::sqrt(decoder_square);
    cosines[static_cast<size_t>(i)] = norms > 0.0 ? static_cast<float>(product / norms) : 0.0f;
  }
  return cosines;
}

std::vector<float> own_encoder_norms(const Dictionary& d) {
  std::vector<float> norms;
  for (int64_t i = 0; i < d.local_latents(); ++i) {
    norms.push_back(std::sqrt(kernels::vector_ops().squared_norm(d.encoder.view().row(i), d.d_model)));
  }
  return norms;
}

}  // namespace

std::vector<Share> all_slices(int64_t latents, int shards, int virtual_shards) {
  std::vector<Share> slices;
  for (int s = 0; s < shards; ++s) slices.push_back(latent_slice(latents, shards, s, virtual_shards));
  return slices;
}

DictionaryGeometry measure_geometry(const Dictionary& d, uint64_t seed, Communicator& shards,
                                    int virtual_shards) {
  Stream stream(d.encoder.view().device);
  const HostDictionary host(d);
  const std::vector<Share> slices = all_slices(d.latents, shards.size(), virtual_shards);
  const auto whole = [&](const std::vector<float>& local) {
    return gather_latent_values(local, slices, shards, stream);
  };
  const kernels::ProductOrder order = product_order(virtual_shards);
  DictionaryGeometry geometry;
  geometry.max_decoder_cosine = whole(neighbour_cosines(d.decoder.view(), slices, shards, stream, order));
  geometry.max_encoder_cosine = whole(neighbour_cosines(d.encoder.view(), slices, shards, stream, order));
  geometry.encoder_decoder_cosine = whole(own_angles(*host));
  geometry.encoder_norm = whole(own_encoder_norms(*host));
  const std::span<const float> biases = host->encoder_bias.view().span();
  geometry.encoder_bias = whole({biases.begin(), biases.end()});
  geometry.mean_max_decoder_cosine = mean_of(geometry.max_decoder_cosine);
  geometry.mean_max_encoder_cosine = mean_of(geometry.max_encoder_cosine);
  geometry.chance_mean_cosine = chance_mean_cosine(d.d_model, seed, slices, shards, stream, order);
  return geometry;
}

}  // namespace orthant::sae
