#include "sae/measure/neighbour_cosines.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "kernels/neighbour/neighbour.h"
#include "runtime/core/rng.h"

namespace orthant::sae {

std::vector<float> neighbour_cosines(Matrix<const float> rows, std::span<const Share> slices,
                                     Communicator& shards, Stream& stream) {
  const int size = shards.size();
  const Share own = slices[static_cast<size_t>(shards.rank())];
  const int64_t d_model = rows.shape[1];
  int64_t most = 0;
  for (const Share& slice : slices) most = std::max(most, slice.count);
  Memory memory;
  Tensor<float, 2> unit(memory, "measure", {own.count, d_model});
  Tensor<float, 1> norms(memory, "measure", {own.count});
  Tensor<float, 2> visiting(memory, "measure", {most, d_model});
  Tensor<float, 2> arriving(memory, "measure", {size > 1 ? most : 0, d_model});
  kernels::PackedWeights packed(memory, "measure", most, d_model);
  kernels::unit_rows(rows, unit.view(), norms.view(), stream);
  visiting.zero();
  copy_bytes(visiting.data(), kCpu, unit.data(), kCpu, unit.view().bytes());

  std::vector<float> best(static_cast<size_t>(own.count), -std::numeric_limits<float>::infinity());
  std::vector<int64_t> index(best.size(), -1);
  std::vector<int64_t> self(best.size());
  for (int64_t i = 0; i < own.count; ++i) self[static_cast<size_t>(i)] = own.first + i;
  for (int hop = 0; hop < size; ++hop) {
    const Share slice = slices[static_cast<size_t>((shards.rank() + size - hop) % size)];
    packed.pack(Matrix<const float>(visiting.view()).rows(0, slice.count), stream);
    kernels::nearest_neighbour(unit.view(), packed, slice.first, {self.data(), {own.count}},
                               {best.data(), {own.count}}, {index.data(), {own.count}}, stream);
    if (hop + 1 == size) break;
    shards.shift(visiting.data(), arriving.data(), most * d_model, Dtype::kF32, 1, stream);
    std::swap(visiting, arriving);
  }
  for (float& value : best) value = std::max(value, -1.0f);
  return best;
}

std::vector<float> gather_latent_values(std::span<const float> local, std::span<const Share> slices,
                                        Communicator& shards, Stream& stream) {
  std::vector<int64_t> counts;
  for (const Share& slice : slices) counts.push_back(slice.count);
  std::vector<float> all(static_cast<size_t>(slices.back().end()));
  shards.all_gather_uneven(local.data(), all.data(), counts, Dtype::kF32, stream);
  return all;
}

double mean_of(std::span<const float> values) {
  double sum = 0.0;
  for (const float value : values) sum += value;
  return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
}

double chance_mean_cosine(int64_t d_model, uint64_t seed, std::span<const Share> slices, Communicator& shards,
                          Stream& stream) {
  const Share own = slices[static_cast<size_t>(shards.rank())];
  Memory memory;
  Tensor<float, 2> rows(memory, "measure", {own.count, d_model});
#pragma omp parallel for
  for (int64_t i = 0; i < own.count; ++i) {
    for (int64_t c = 0; c < d_model; ++c) {
      const auto element = static_cast<uint64_t>((own.first + i) * d_model + c);
      rows.view().row(i)[c] = random_normal(seed, Purpose::kRandomDictionary, 0, element);
    }
  }
  const std::vector<float> cosines = neighbour_cosines(rows.view(), slices, shards, stream);
  return mean_of(gather_latent_values(cosines, slices, shards, stream));
}

}  // namespace orthant::sae
