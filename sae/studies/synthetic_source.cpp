#include "sae/studies/synthetic_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/codes/latent_step.h"
#include "runtime/core/error.h"
#include "runtime/core/rng.h"

namespace orthant::sae {
namespace {

// Held-out samples are numbered from here, far beyond any training run.
constexpr uint64_t kHoldoutOffset = uint64_t{1} << 62;

// LogUniform bounds of the paper's variable setting.
constexpr double kLowestExponent = -5.5;
constexpr double kHighestExponent = -1.2;

std::vector<double> draw_probabilities(const Synthetic& config, uint64_t seed) {
  const auto features = static_cast<size_t>(config.features());
  if (config.probability() == "constant") {
    return std::vector<double>(features, config.l0() / static_cast<double>(config.features()));
  }
  std::vector<double> p(features);
  double sum = 0.0;
  for (size_t i = 0; i < features; ++i) {
    const double u = random_uniform(seed, Purpose::kSyntheticProbability, 0, i);
    p[i] = std::pow(10.0, kLowestExponent + u * (kHighestExponent - kLowestExponent));
    sum += p[i];
  }
  // The paper's bounds give an expected L0 of about 20 at 3,200 features; other settings scale it.
  for (double& value : p) value = std::min(1.0, value * config.l0() / sum);
  std::sort(p.begin(), p.end(), std::greater<>());
  return p;
}

double open_uniform(uint32_t word) {
  return (static_cast<double>(word) + 0.5) * 0x1p-32;
}

}  // namespace

SyntheticSource::SyntheticSource(const Synthetic& config, uint64_t seed, Memory& memory)
    : config_(config), seed_(seed), directions_(memory, "source", {config.features(), config.d_model()}) {
  if (config.l0() > static_cast<double>(config.features())) {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("source.synthetic.l0 = {} exceeds source.synthetic.features = {}",
                                        config.l0(), config.features()),
                 .suggestion = "Lower l0 or raise features."});
  }
  if (memory.counts_only()) return;
  probabilities_ = draw_probabilities(config, seed);
  for (int64_t i = 0; i < config.features(); ++i) {
    const double p = probabilities_[static_cast<size_t>(i)];
    if (buckets_.empty() || p < 0.5 * buckets_.back().probability) buckets_.push_back({i, i, p});
    buckets_.back().end = i + 1;
  }
  const Matrix<float> rows = directions_.view();
#pragma omp parallel for
  for (int64_t e = 0; e < rows.elements(); ++e) {
    rows.data[e] = random_normal(seed, Purpose::kSyntheticDirections, 0, static_cast<uint64_t>(e));
  }
  Stream stream;
  kernels::normalize_rows(rows, stream);
}

void SyntheticSource::fill_row(uint64_t sample, float* row) const {
  const auto width = static_cast<size_t>(config_.d_model());
  std::fill_n(row, width, 0.0f);
  uint32_t draw = 0;
  for (const Bucket& bucket : buckets_) {
    const double log_silent = std::log1p(-std::min(bucket.probability, 1.0 - 1e-12));
    int64_t feature = bucket.first - 1;
    while (true) {
      // Words: gap to the next candidate, thinning, two for the magnitude.
      const auto words = random_words(seed_, Purpose::kSyntheticFiring, draw++, sample);
      const double gap = std::floor(std::log(open_uniform(words[0])) / log_silent);
      if (gap >= static_cast<double>(bucket.end - feature)) break;
      feature += 1 + static_cast<int64_t>(gap);
      if (feature >= bucket.end) break;
      if (open_uniform(words[1]) * bucket.probability >= probabilities_[static_cast<size_t>(feature)])
        continue;
      const double normal = std::sqrt(-2.0 * std::log(open_uniform(words[2]))) *
                            std::cos(2.0 * std::numbers::pi * open_uniform(words[3]));
      const auto magnitude = static_cast<float>(std::exp(config_.magnitude_sd() * normal));
      const float* direction = directions_.view().row(feature);
      for (size_t c = 0; c < width; ++c) row[c] += magnitude * direction[c];
    }
  }
}

void SyntheticSource::read(Split split, int64_t first, Matrix<float> into, RowLabels* labels) {
  if (labels != nullptr) *labels = {};
  const uint64_t offset = split == Split::kHoldout ? kHoldoutOffset : 0;
#pragma omp parallel for schedule(static, 64)
  for (int64_t r = 0; r < into.shape[0]; ++r)
    fill_row(offset + static_cast<uint64_t>(first + r), into.row(r));
}

std::string SyntheticSource::identity() const {
  return fmt::format("synthetic {} seed {}", config_.ShortDebugString(), seed_);
}

}  // namespace orthant::sae
