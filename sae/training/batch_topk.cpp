#include "sae/training/batch_topk.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/codes/scale_codes.h"

namespace orthant::sae {
namespace {

constexpr int64_t kSampleRows = 64;
// Candidates that an estimated prefilter aims at, over those wanted.
constexpr double kSampleSurplus = 1.3;
// The next batch's cutoff is rarely below this share of the last one's.
constexpr float kPrefilterShare = 0.93f;

// Steps of the search until a bound is known on both sides: small while the cutoff is near, as it is unless
// the activations have left the range they had.
constexpr int kNearRounds = 16;
constexpr float kLargest = std::numeric_limits<float>::max();

float raised(float prefilter, int round) {
  return std::clamp(prefilter * (round < kNearRounds ? 1.25f : 100.0f), 1e-6f, kLargest);
}
float lowered(float prefilter, int round) {
  return prefilter < 1e-6f ? 0.0f : prefilter * (round < kNearRounds ? 0.7f : 0.01f);
}

float between(float low, float high) {
  return std::bit_cast<float>(std::midpoint(std::bit_cast<uint32_t>(low), std::bit_cast<uint32_t>(high)));
}

}  // namespace

BatchTopKEncoder::BatchTopKEncoder(Memory& memory, int64_t rows, int64_t capacity)
    : memory_(&memory),
      rows_(rows),
      capacity_(capacity),
      codes_(memory, rows, capacity),
      selection_(memory, capacity) {}

float BatchTopKEncoder::estimate_prefilter(Matrix<const float> centred, int64_t keep, int64_t batch_rows,
                                           const Dictionary& dictionary, ShardEncoder& encoder,
                                           Communicator& world, Stream& stream) {
  // Bisect the bits of the threshold on a few rows of every rank; only the count is asked for.
  const int64_t rows = std::min(kSampleRows, centred.shape[0]);
  kernels::CodesView counting = codes_.view(rows);
  counting.latents.shape[0] = 0;
  counting.values.shape[0] = 0;
  int64_t sampled_rows = rows;
  world.all_reduce(&sampled_rows, 1, Dtype::kI64, ReduceOp::kSum, stream);
  // Each row is counted once for every shard that holds a part of the latents.
  const double wanted = kSampleSurplus * static_cast<double>(keep) / static_cast<double>(batch_rows) *
                        static_cast<double>(sampled_rows) / encoder.shard_count();
  float low = 0.0f;
  float high = std::numeric_limits<float>::max();
  for (int round = 0; round < 14; ++round) {
    const float middle = between(low, high);
    int64_t count = encoder.above(centred.rows(0, rows), dictionary, middle, counting, stream);
    world.all_reduce(&count, 1, Dtype::kI64, ReduceOp::kSum, stream);
    (static_cast<double>(count) >= wanted ? low : high) = middle;
  }
  return low;
}

BatchSelected BatchTopKEncoder::encode(Matrix<const float> centred, int64_t first_row, int64_t keep,
                                       int64_t batch_rows, const Dictionary& dictionary,
                                       ShardEncoder& encoder, Communicator& world, Stream& stream) {
  world.wait(stream);
  if (prefilter_ < 0.0f) {
    prefilter_ = estimate_prefilter(centred, keep, batch_rows, dictionary, encoder, world, stream);
  }
  // The prefilter lies in [low, high): at low there were too many candidates, at high too few.
  float low = -1.0f;
  int64_t most_at_low = 0;
  float high = std::numeric_limits<float>::infinity();
  for (int round = 0;; ++round) {
    ++encodes_;
    int64_t found = encoder.above(centred, dictionary, prefilter_, codes_.view(centred.shape[0]), stream);
    int64_t overflow = found > capacity_ ? found : 0;
    world.all_reduce(&found, 1, Dtype::kI64, ReduceOp::kSum, stream);
    world.all_reduce(&overflow, 1, Dtype::kI64, ReduceOp::kMax, stream);
    if (overflow == 0 && (found >= keep || prefilter_ == 0.0f)) break;
    const float tried = prefilter_;
    if (overflow > 0) {
      low = tried;
      most_at_low = overflow;
      prefilter_ =
          high < std::numeric_limits<float>::infinity() ? between(tried, high) : raised(tried, round);
    } else {
      high = tried;
      prefilter_ = low >= 0.0f ? between(low, tried) : lowered(tried, round);
    }
    if (prefilter_ == tried) {  // ties fill the gap: only room helps
      capacity_ = std::max(capacity_, most_at_low);
      codes_ = kernels::Codes(*memory_, rows_, capacity_);
      prefilter_ = low;
    }
  }
  const kernels::CodesView codes = codes_.view(centred.shape[0]);
  const Vector<const float> scale = encoder.selection_scale();
  const bool is_ranked_by_norms = scale.shape[0] > 0;
  if (is_ranked_by_norms) kernels::multiply_codes(codes, dictionary.slice.first, scale, stream);
  const BatchSelected selected = selection_.select(codes, first_row, keep, world, stream);
  if (is_ranked_by_norms) kernels::divide_codes(codes, dictionary.slice.first, scale, stream);
  prefilter_ = std::isfinite(selected.smallest) ? kPrefilterShare * selected.smallest : -1.0f;
  return selected;
}

}  // namespace orthant::sae
