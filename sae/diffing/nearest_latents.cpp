#include "sae/diffing/nearest_latents.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/neighbour/neighbour.h"
#include "sae/dictionary/shard_encoder.h"

namespace orthant::sae {
namespace {

constexpr int64_t kLatentsAtOnce = 8192;
constexpr float kNone = -std::numeric_limits<float>::infinity();

// Of this shard's latents.
NearestLatents own_nearest(Matrix<const float> directions, const Dictionary& dictionary) {
  Memory memory;
  Stream stream;
  const int64_t count = directions.shape[0], d_model = directions.shape[1];
  const int64_t most = std::min(kLatentsAtOnce, dictionary.local_latents());
  Tensor<float, 2> unit(memory, "diff", {most, d_model});
  Tensor<float, 1> norms(memory, "diff", {most});
  kernels::PackedWeights packed(memory, "diff", most, d_model);
  kernels::ProductTile tile(memory, "diff", count, most);
  NearestLatents nearest{.cosine = std::vector<float>(static_cast<size_t>(count), kNone),
                         .latent = std::vector<int64_t>(static_cast<size_t>(count), -1)};
  const std::vector<int64_t> excluded(static_cast<size_t>(count), -1);
  for (int64_t first = 0; first < dictionary.local_latents(); first += most) {
    const int64_t rows = std::min(most, dictionary.local_latents() - first);
    kernels::unit_rows(dictionary.decoder.view().rows(first, rows), unit.view().rows(0, rows),
                       norms.view().rows(0, rows), stream);
    packed.pack(Matrix<const float>(unit.view()).rows(0, rows), stream);
    kernels::nearest_neighbour(directions, packed, dictionary.slice.first + first, {excluded.data(), {count}},
                               tile, {nearest.cosine.data(), {count}}, {nearest.latent.data(), {count}},
                               stream);
  }
  return nearest;
}

// The logarithm of what (1 - t^2)^((d - 3) / 2) is at t.
double log_density(double t, int64_t d_model) {
  return static_cast<double>(d_model - 3) / 2.0 * std::log1p(-t * t);
}

}  // namespace

NearestLatents nearest_latents(Matrix<const float> directions, const Dictionary& dictionary,
                               Communicator& shards) {
  NearestLatents own = own_nearest(directions, dictionary);
  const auto count = own.cosine.size();
  const auto size = static_cast<size_t>(shards.size());
  std::vector<float> cosines(count * size);
  std::vector<int64_t> latents(count * size);
  Stream stream;
  shards.all_gather(own.cosine.data(), cosines.data(), static_cast<int64_t>(count), Dtype::kF32, stream);
  shards.all_gather(own.latent.data(), latents.data(), static_cast<int64_t>(count), Dtype::kI64, stream);
  for (size_t i = 0; i < count; ++i) {
    own.cosine[i] = kNone;
    own.latent[i] = -1;
    // Shards hold ascending latents, so the first of equals is the lowest.
    for (size_t s = 0; s < size; ++s) {
      if (latents[s * count + i] < 0 || cosines[s * count + i] <= own.cosine[i]) continue;
      own.cosine[i] = cosines[s * count + i];
      own.latent[i] = latents[s * count + i];
    }
    own.cosine[i] = std::max(own.cosine[i], -1.0f);
  }
  return own;
}

std::vector<float> same_latent_cosines(const Dictionary& a, const Dictionary& b, Communicator& shards,
                                       int virtual_shards) {
  std::vector<float> own;
  for (int64_t i = 0; i < a.local_latents(); ++i) {
    const float* const x = a.decoder.view().row(i);
    const float* const y = b.decoder.view().row(i);
    double product = 0.0, squares_x = 0.0, squares_y = 0.0;
    for (int64_t c = 0; c < a.d_model; ++c) {
      product += static_cast<double>(x[c]) * y[c];
      squares_x += static_cast<double>(x[c]) * x[c];
      squares_y += static_cast<double>(y[c]) * y[c];
    }
    const double norms = std::sqrt(squares_x * squares_y);
    own.push_back(norms > 0.0 ? static_cast<float>(product / norms) : 0.0f);
  }
  const std::vector<int64_t> counts = latents_per_shard(a.latents, shards.size(), virtual_shards);
  std::vector<float> all(static_cast<size_t>(a.latents));
  Stream stream;
  shards.all_gather_uneven(own.data(), all.data(), counts, Dtype::kF32, stream);
  return all;
}

// The cosine to one random direction has density (1 - t^2)^((d - 3) / 2) on [-1, 1]; the largest of n has the
// distribution function to the n-th power, and its mean is 1 - the integral of that.
double chance_largest_cosine(int64_t d_model, int64_t latents) {
  if (d_model < 2 || latents < 1) return 1.0;
  constexpr int kSteps = 200000;
  const double width = 2.0 / kSteps;
  const auto at = [&](int step) { return -1.0 + (step + 0.5) * width; };
  double total = 0.0;
  for (int step = 0; step < kSteps; ++step) total += std::exp(log_density(at(step), d_model));
  double below = 0.0, integral = 0.0;
  for (int step = 0; step < kSteps; ++step) {
    const double density = std::exp(log_density(at(step), d_model)) / total;
    const double share = below + density / 2.0;
    below += density;
    if (share > 0.0)
      integral += width * std::exp(static_cast<double>(latents) * std::log(std::min(share, 1.0)));
  }
  return 1.0 - integral;
}

}  // namespace orthant::sae
