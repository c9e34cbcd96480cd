#include "sae/scoring/unit_directions.h"

#include <algorithm>
#include <cmath>

namespace orthant::sae {
namespace {

void write_unit(const float* row, int64_t width, float* into) {
  double squares = 0.0;
  for (int64_t c = 0; c < width; ++c) squares += static_cast<double>(row[c]) * row[c];
  const double norm = std::sqrt(squares);
  for (int64_t c = 0; c < width && norm > 0.0; ++c) into[c] = static_cast<float>(row[c] / norm);
}

}  // namespace

Tensor<float, 2> unit_directions(const Dictionary& dictionary, std::span<const int64_t> latents,
                                 Communicator& shards, Memory& memory) {
  const auto count = static_cast<int64_t>(latents.size());
  Tensor<float, 2> rows(memory, "directions", {count, dictionary.d_model});
  rows.zero();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t local = latents[static_cast<size_t>(i)] - dictionary.slice.first;
    if (local < 0 || local >= dictionary.local_latents()) continue;
    write_unit(dictionary.decoder.view().row(local), dictionary.d_model, rows.view().row(i));
  }
  // Each row comes from one shard and is zero on the others.
  Stream stream;
  all_reduce(shards, rows.view(), ReduceOp::kSum, stream);
  return rows;
}

}  // namespace orthant::sae
