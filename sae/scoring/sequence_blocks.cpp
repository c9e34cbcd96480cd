#include "sae/scoring/sequence_blocks.h"

#include <algorithm>

#include "runtime/core/error.h"

namespace orthant::sae {
namespace {

constexpr int64_t kLabelsAtOnce = int64_t{1} << 16;

bool begins_sequence(const RowLabels& labels, size_t row) {
  return labels.positions[row] <= labels.positions[row - 1];
}

}  // namespace

std::vector<int64_t> sequence_offsets(const RowLabels& labels) {
  std::vector<int64_t> offsets = {0};
  if (labels.positions.empty()) return offsets;
  for (size_t row = 1; row < labels.positions.size(); ++row) {
    if (begins_sequence(labels, row)) offsets.push_back(static_cast<int64_t>(row));
  }
  offsets.push_back(static_cast<int64_t>(labels.positions.size()));
  return offsets;
}

std::vector<int64_t> sequence_blocks(ActivationSource& source, int64_t rows, int64_t block_rows,
                                     int64_t cut) {
  const int64_t available = source.rows(Split::kTrain);
  const int64_t end = rows == 0 ? available : std::min(rows, available);
  std::vector<int64_t> offsets = {0};
  RowLabels labels;
  // Each piece begins with the last sample of the one before, to see whether a sequence ends there.
  for (int64_t first = 0; first < end; first += kLabelsAtOnce) {
    const int64_t from = std::max<int64_t>(first - 1, 0);
    source.read_labels(Split::kTrain, from, std::min(first + kLabelsAtOnce, end) - from, labels);
    if (labels.positions.empty()) {
      throw Error(ExitCode::kConfig,
                  {.problem = "the activations come without tokens",
                   .why = "scores are of latents near words, and an array or a generator has none",
                   .suggestion = "Give a store of orthant harvest, or --model, --text and --hook."});
    }
    for (size_t row = 1; row < labels.positions.size(); ++row) {
      const int64_t sample = from + static_cast<int64_t>(row);
      const bool is_full = sample - offsets.back() >= block_rows && begins_sequence(labels, row);
      if (is_full || sample == cut) offsets.push_back(sample);
    }
  }
  if (end > 0) offsets.push_back(end);
  return offsets;
}

}  // namespace orthant::sae
