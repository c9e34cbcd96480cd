#include "sae/measure/neighbour_cosines.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "kernels/neighbour/neighbour.h"
#include "runtime/core/rng.h"
#include "runtime/device/buffer.h"

namespace orthant::sae {
namespace {

template <typename T>
Tensor<T, 1> copy_of(const std::vector<T>& values, Memory& memory) {
  Tensor<T, 1> copy(memory, "measure", {static_cast<int64_t>(values.size())});
  copy_bytes(copy.data(), memory.device(), values.data(), kCpu, copy.view().bytes());
  return copy;
}

Tensor<float, 2> moved_to(Device device, Tensor<float, 2> host) {
  if (device == kCpu) return host;
  Memory memory(device);
  Tensor<float, 2> there(memory, "measure", host.shape());
  copy_bytes(there.data(), device, host.data(), kCpu, host.view().bytes());
  return there;
}

}  // namespace

std::vector<float> neighbour_cosines(Matrix<const float> rows, std::span<const Share> slices,
                                     Communicator& shards, Stream& stream, kernels::ProductOrder order) {
  const int size = shards.size();
  const Share own = slices[static_cast<size_t>(shards.rank())];
  const int64_t d_model = rows.shape[1];
  int64_t most = 0;
  for (const Share& slice : slices) most = std::max(most, slice.count);
  Memory memory(rows.device);
  Tensor<float, 2> unit(memory, "measure", {own.count, d_model});
  Tensor<float, 1> norms(memory, "measure", {own.count});
  Tensor<float, 2> visiting(memory, "measure", {most, d_model});
  Tensor<float, 2> arriving(memory, "measure", {size > 1 ? most : 0, d_model});
  kernels::PackedWeights packed(memory, "measure", most, d_model, kernels::Precision::kF32, order);
  kernels::ProductTile tile(memory, "measure", own.count, most);
  kernels::unit_rows(rows, unit.view(), norms.view(), stream);
  visiting.zero();
  copy_bytes(visiting.data(), rows.device, unit.data(), rows.device, unit.view().bytes());

  std::vector<float> best(static_cast<size_t>(own.count), -std::numeric_limits<float>::infinity());
  std::vector<int64_t> index(best.size(), -1);
  std::vector<int64_t> self(best.size());
  std::iota(self.begin(), self.end(), own.first);
  const Tensor<int64_t, 1> excluded = copy_of(self, memory);
  Tensor<float, 1> values = copy_of(best, memory);
  Tensor<int64_t, 1> indices = copy_of(index, memory);
  for (int hop = 0; hop < size; ++hop) {
    const Share slice = slices[static_cast<size_t>((shards.rank() + size - hop) % size)];
    packed.pack(Matrix<const float>(visiting.view()).rows(0, slice.count), stream);
    kernels::nearest_neighbour(unit.view(), packed, slice.first, excluded.view(), tile, values.view(),
                               indices.view(), stream);
    if (hop + 1 == size) break;
    shards.shift(visiting.data(), arriving.data(), most * d_model, Dtype::kF32, 1, stream);
    std::swap(visiting, arriving);
  }
  shards.wait(stream);
  copy_bytes(best.data(), kCpu, values.data(), rows.device, values.view().bytes());
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
                          Stream& stream, kernels::ProductOrder order) {
  const Share own = slices[static_cast<size_t>(shards.rank())];
  Memory host;
  Tensor<float, 2> rows(host, "measure", {own.count, d_model});
#pragma omp parallel for
  for (int64_t i = 0; i < own.count; ++i) {
    for (int64_t c = 0; c < d_model; ++c) {
      const auto element = static_cast<uint64_t>((own.first + i) * d_model + c);
      rows.view().row(i)[c] = random_normal(seed, Purpose::kRandomDictionary, 0, element);
    }
  }
  rows = moved_to(stream.device(), std::move(rows));
  const std::vector<float> cosines = neighbour_cosines(rows.view(), slices, shards, stream, order);
  return mean_of(gather_latent_values(cosines, slices, shards, stream));
}

}  // namespace orthant::sae
