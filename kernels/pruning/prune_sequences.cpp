#include "kernels/pruning/prune_sequences.h"

#include <cmath>
#include <vector>

#include "kernels/pruning/keep_largest.h"
#include "kernels/pruning/pruning_cuda.h"
#include "kernels/pruning/pruning_rows.h"
#include "kernels/pruning/sequence_score.h"

namespace orthant::kernels {
namespace {

void score_row(const PruneSequences& sequences, int64_t sequence, int64_t row, int32_t* scores) {
  const float* const x = sequences.x.row(row);
  const int64_t width = sequences.x.shape[1];
  const int64_t sets = sequences.gains.shape[0];
  const float* const gains = sets == 0 ? nullptr : sequences.gains.row(sets == 1 ? 0 : sequence);
  const float factor = sequences.by_row_norm ? row_norm_factor(pruning_rows().sums(x, width).squares) : 1.0f;
  for (int64_t c = 0; c < width; ++c)
    scores[c] = sequence_score(x[c], factor, gains == nullptr ? 1.0f : gains[c]);
}

void prune_sequence(const PruneSequences& sequences, int64_t sequence, Matrix<float> kept) {
  const int64_t first = sequences.offsets.data[sequence], end = sequences.offsets.data[sequence + 1];
  const int64_t width = sequences.x.shape[1], entries = (end - first) * width;
  std::vector<int32_t> scores(static_cast<size_t>(entries)), survives(static_cast<size_t>(entries));
  for (int64_t row = first; row < end; ++row)
    score_row(sequences, sequence, row, scores.data() + (row - first) * width);
  mark_largest(scores.data(), entries, sequences.keep.data[sequence], survives.data());
  if (entries > 0)
    pruning_rows().split(sequences.x.row(first), survives.data(), entries, kept.row(first), nullptr);
}

}  // namespace

void prune_sequences(const PruneSequences& sequences, Matrix<float> scores, Matrix<float> kept,
                     Stream& stream) {
  const int64_t count = sequences.keep.shape[0], sets = sequences.gains.shape[0];
  require(sequences.offsets.shape[0] == count + 1, "every sequence has a number of entries to keep");
  require(sets == 0 || ((sets == 1 || sets == count) && sequences.gains.shape[1] == sequences.x.shape[1]),
          "gains are [sequences, width]");
  require(kept.shape == sequences.x.shape, "pruned rows have the shape of x");
  if (sequences.x.device.kind == DeviceKind::kCuda) {
    require(scores.shape == sequences.x.shape, "scores have the shape of x");
    return cuda::prune_sequences(sequences, scores, kept, stream);
  }
#pragma omp parallel for schedule(dynamic)
  for (int64_t sequence = 0; sequence < count; ++sequence) prune_sequence(sequences, sequence, kept);
}

}  // namespace orthant::kernels
