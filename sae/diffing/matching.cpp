#include "sae/diffing/matching.h"

#include <omp.h>

#include <algorithm>

#include "kernels/encode/encode.h"
#include "kernels/neighbour/neighbour.h"

namespace orthant::sae {
namespace {

constexpr int64_t kRowsAtOnce = 1024;

Tensor<float, 2> unit_decoder(const Dictionary& dictionary, Memory& memory) {
  Stream stream;
  Tensor<float, 2> unit(memory, "match", dictionary.decoder.shape());
  Tensor<float, 1> norms(memory, "match", {dictionary.local_latents()});
  kernels::unit_rows(dictionary.decoder.view(), unit.view(), norms.view(), stream);
  return unit;
}

// The `most` largest cosines above 0 of each row of `from` to the rows of `to`, falling.
std::vector<std::vector<Candidate>> nearest_candidates(Matrix<const float> from, Matrix<const float> to,
                                                       int64_t most) {
  Memory memory;
  Stream stream;
  const int64_t k = std::min(most, to.shape[0]);
  kernels::PackedWeights packed(memory, "match", to.shape[0], to.shape[1]);
  packed.pack(to, stream);
  kernels::EncodeWorkspace workspace(memory, omp_get_max_threads(), k, to.shape[1]);
  kernels::Codes codes(memory, kRowsAtOnce, kRowsAtOnce * k);
  std::vector<std::vector<Candidate>> candidates(static_cast<size_t>(from.shape[0]));
  for (int64_t first = 0; first < from.shape[0]; first += kRowsAtOnce) {
    const int64_t rows = std::min(kRowsAtOnce, from.shape[0] - first);
    const kernels::CodesView found = codes.view(rows);
    kernels::encode_topk({.input = from.rows(first, rows), .encoder = &packed}, k, workspace, found, stream);
    for (int64_t r = 0; r < rows; ++r) {
      auto& row = candidates[static_cast<size_t>(first + r)];
      for (int64_t e = found.row_offsets.data[r]; e < found.row_offsets.data[r + 1]; ++e) {
        if (found.values.data[e] > 0.0f) row.push_back({found.latents.data[e], found.values.data[e]});
      }
      std::stable_sort(row.begin(), row.end(),
                       [](const Candidate& x, const Candidate& y) { return x.value > y.value; });
    }
  }
  return candidates;
}

float cosine_of(const std::vector<Candidate>& candidates, int64_t column) {
  for (const Candidate& each : candidates) {
    if (each.column == column) return static_cast<float>(each.value);
  }
  return 0.0f;
}

}  // namespace

DictionaryMatch match_dictionaries(const Dictionary& a, const Dictionary& b, int64_t candidates,
                                   double epsilon) {
  Memory memory;
  const Tensor<float, 2> unit_a = unit_decoder(a, memory), unit_b = unit_decoder(b, memory);
  const auto of_a = nearest_candidates(unit_a.view(), unit_b.view(), candidates);
  const auto of_b = nearest_candidates(unit_b.view(), unit_a.view(), 1);
  // A row that has fewer candidates than it may has left out nothing above 0.
  std::vector<double> cuts;
  for (const auto& row : of_a) {
    const bool is_pruned = static_cast<int64_t>(row.size()) == candidates && candidates < b.latents;
    cuts.push_back(is_pruned ? row.back().value : 0.0);
  }
  DictionaryMatch match{.assignment = assign(of_a, cuts, b.latents, epsilon),
                        .cosine = {},
                        .nearest = {},
                        .nearest_cosine = {},
                        .mutually_nearest = {}};
  for (size_t i = 0; i < of_a.size(); ++i) {
    const auto& row = of_a[i];
    match.cosine.push_back(cosine_of(row, match.assignment.column[i]));
    match.nearest.push_back(row.empty() ? -1 : row.front().column);
    match.nearest_cosine.push_back(row.empty() ? 0.0f : static_cast<float>(row.front().value));
    const bool is_mutual =
        !row.empty() && !of_b[static_cast<size_t>(row.front().column)].empty() &&
        of_b[static_cast<size_t>(row.front().column)].front().column == static_cast<int64_t>(i);
    match.mutually_nearest.push_back(is_mutual);
  }
  return match;
}

}  // namespace orthant::sae
