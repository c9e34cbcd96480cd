#include "models/tasks/direction_logits.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace orthant::models {
namespace {

constexpr int64_t kDirectionsAtOnce = 64;

// The first `most` tokens in the order of `before`.
template <typename Before>
std::vector<TokenLogit> first_tokens(const float* logits, std::vector<int32_t>& tokens, int64_t most,
                                     Before before) {
  const auto end = tokens.begin() + std::min(most, static_cast<int64_t>(tokens.size()));
  std::partial_sort(tokens.begin(), end, tokens.end(), [&](int32_t a, int32_t b) {
    return logits[a] != logits[b] ? before(logits[a], logits[b]) : a < b;
  });
  std::vector<TokenLogit> found;
  for (auto token = tokens.begin(); token != end; ++token) found.push_back({*token, logits[*token]});
  return found;
}

}  // namespace

std::vector<DirectionLogits> direction_logits(Matrix<const float> directions,
                                              const kernels::PackedWeights& head, int64_t most,
                                              Memory& memory) {
  Stream stream;
  const int64_t count = directions.shape[0];
  Tensor<float, 2> logits(memory, "direction logits", {std::min(count, kDirectionsAtOnce), head.columns()});
  std::vector<int32_t> tokens(static_cast<size_t>(head.columns()));
  std::iota(tokens.begin(), tokens.end(), 0);
  std::vector<DirectionLogits> found;
  for (int64_t first = 0; first < count; first += kDirectionsAtOnce) {
    const int64_t rows = std::min(kDirectionsAtOnce, count - first);
    const Matrix<float> block = logits.view().rows(0, rows);
    kernels::matmul_nt(directions.rows(first, rows), head, block, stream);
    for (int64_t r = 0; r < rows; ++r) {
      const float* const row = block.row(r);
      found.push_back({.largest = first_tokens(row, tokens, most, std::greater<>()),
                       .smallest = first_tokens(row, tokens, most, std::less<>())});
    }
  }
  return found;
}

}  // namespace orthant::models
