#include "models/tasks/edit_losses.h"

#include <algorithm>

#include "runtime/core/share.h"

namespace orthant::models {
namespace {

// Sums of one sequence, in this order, then cross-entropy and KL divergence of each edit.
constexpr size_t kTokens = 0;
constexpr size_t kUncounted = 1;
constexpr size_t kOriginal = 2;
constexpr size_t kFirstEdit = 3;

bool contains(const std::vector<int32_t>& values, int32_t value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// Sequences [first, end) go through the model together.
struct Batch {
  size_t first = 0;
  size_t end = 0;
};

std::vector<Batch> cut_batches(std::span<const std::vector<int32_t>> sequences, Share share,
                               int64_t batch_tokens) {
  std::vector<Batch> batches;
  int64_t tokens = 0;
  for (auto s = static_cast<size_t>(share.first); s < static_cast<size_t>(share.end()); ++s) {
    const auto length = static_cast<int64_t>(sequences[s].size());
    if (batches.empty() || tokens + length > batch_tokens) {
      batches.push_back({s, s});
      tokens = 0;
    }
    batches.back().end = s + 1;
    tokens += length;
  }
  return batches;
}

RunLimits limits_of(std::span<const std::vector<int32_t>> sequences, const std::vector<Batch>& batches) {
  RunLimits limits{.tokens = 1, .sequences = 1, .positions = 1};
  for (const Batch& batch : batches) {
    int64_t tokens = 0;
    for (size_t s = batch.first; s < batch.end; ++s) {
      const auto length = static_cast<int64_t>(sequences[s].size());
      limits.positions = std::max(limits.positions, length);
      tokens += length;
    }
    limits.tokens = std::max(limits.tokens, tokens);
    limits.sequences = std::max(limits.sequences, static_cast<int64_t>(batch.end - batch.first));
  }
  return limits;
}

// Adds what the scored rows of one batch give to the sums of their sequences: `sums` [sequences, width].
void add_effects(const TokenBatch& batch, const EditEffects& effects, const UncountedTokens& uncounted,
                 double* sums, size_t width) {
  size_t sequence = 0;
  for (size_t i = 0; i < effects.rows.size(); ++i) {
    const int64_t row = effects.rows[i];
    while (row >= batch.offsets[sequence + 1]) ++sequence;
    double* sum = sums + sequence * width;
    const auto position = static_cast<int32_t>(row - batch.offsets[sequence]);
    if (contains(uncounted.positions, position) ||
        contains(uncounted.token_ids, batch.token_ids[static_cast<size_t>(row)])) {
      sum[kUncounted] += 1.0;
      continue;
    }
    sum[kTokens] += 1.0;
    sum[kOriginal] += effects.original_nll[i];
    for (size_t e = 0; e < effects.edits.size(); ++e) {
      sum[kFirstEdit + 2 * e] += effects.edits[e].nll[i];
      sum[kFirstEdit + 2 * e + 1] += effects.edits[e].kl[i];
    }
  }
}

// The sums of all ranks added in the order of the sequences: `own` [share.count, width] -> [width].
std::vector<double> total(const std::vector<double>& own, int64_t sequences, int64_t width,
                          Communicator& world, Stream& stream) {
  std::vector<int64_t> counts;
  for (int r = 0; r < world.size(); ++r) counts.push_back(share_of(sequences, world.size(), r).count * width);
  std::vector<double> all(static_cast<size_t>(sequences * width));
  world.all_gather_uneven(own.data(), all.data(), counts, Dtype::kF64, stream);
  std::vector<double> sums(static_cast<size_t>(width), 0.0);
  for (size_t i = 0; i < all.size(); ++i) sums[i % sums.size()] += all[i];
  return sums;
}

}  // namespace

EditLosses measure_edit_losses(const Weights& weights, std::span<const std::vector<int32_t>> sequences,
                               std::span<ResidualEdit* const> edits, const EditLossOptions& options,
                               Communicator& world, Memory& memory, Stream& stream) {
  const auto count = static_cast<int64_t>(sequences.size());
  const size_t width = kFirstEdit + 2 * edits.size();
  const Share share = share_of(count, world.size(), world.rank());
  const std::vector<Batch> batches = cut_batches(sequences, share, options.batch_tokens);
  EditMeter meter(weights, limits_of(sequences, batches), static_cast<int64_t>(edits.size()), memory, stream);
  std::vector<double> own(static_cast<size_t>(share.count) * width, 0.0);

  auto rounds = static_cast<int64_t>(batches.size());
  world.all_reduce(&rounds, 1, Dtype::kI64, ReduceOp::kMax, stream);
  for (int64_t round = 0; round < rounds; ++round) {
    options.progress(static_cast<double>(round) / static_cast<double>(rounds));
    if (round >= static_cast<int64_t>(batches.size())) continue;
    const auto [first, end] = batches[static_cast<size_t>(round)];
    BatchBuilder builder;
    for (size_t s = first; s < end; ++s) builder.add(sequences[s]);
    const TokenBatch batch = builder.batch();
    const EditEffects effects = meter.measure(batch, options.hook, edits);
    add_effects(batch, effects, options.uncounted,
                own.data() + (first - static_cast<size_t>(share.first)) * width, width);
  }
  const std::vector<double> sums = total(own, count, static_cast<int64_t>(width), world, stream);
  EditLosses losses{.sequences = count,
                    .tokens = static_cast<int64_t>(sums[kTokens]),
                    .uncounted = static_cast<int64_t>(sums[kUncounted])};
  if (losses.tokens == 0) return losses;
  losses.ce = sums[kOriginal] / sums[kTokens];
  for (size_t e = 0; e < edits.size(); ++e) {
    losses.edits.push_back(
        {.ce = sums[kFirstEdit + 2 * e] / sums[kTokens], .kl = sums[kFirstEdit + 2 * e + 1] / sums[kTokens]});
  }
  return losses;
}

}  // namespace orthant::models
