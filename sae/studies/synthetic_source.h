// Activations with a known dictionary: sums of fixed directions that fire independently (Sanity Checks for
// SAEs, arXiv 2602.14111, section 3).
//
// x = sum_i b_i c_i f_i with f_i uniform on the sphere, b_i ~ Bernoulli(p_i), log c_i ~ N(0, magnitude_sd). A
// sample is a pure function of (seed, split, sample number). Unlimited rows. One thread at a time.
#pragma once

#include <vector>

#include "runtime/job/activation_source.h"
#include "runtime/job/config.pb.h"

namespace orthant::sae {

class SyntheticSource : public ActivationSource {
 public:
  // Throws Error(kConfig) when the expected L0 exceeds the number of features.
  SyntheticSource(const Synthetic& config, uint64_t seed, Memory& memory);

  [[nodiscard]] int64_t d_model() const override { return config_.d_model(); }
  [[nodiscard]] int64_t rows(Split) const override { return 0; }
  void read(Split split, int64_t first, Matrix<float> into, RowLabels* labels) override;
  [[nodiscard]] std::string identity() const override;

  // The true directions [features, d_model], unit rows, sorted by falling firing probability.
  [[nodiscard]] Matrix<const float> directions() const { return directions_.view(); }
  [[nodiscard]] const std::vector<double>& probabilities() const { return probabilities_; }

 private:
  // Features of nearly equal probability: gaps between firings are drawn for the largest of them, then
  // thinned.
  struct Bucket {
    int64_t first = 0;
    int64_t end = 0;
    double probability = 0.0;
  };
  void fill_row(uint64_t sample, float* row) const;

  Synthetic config_;
  uint64_t seed_;
  std::vector<double> probabilities_;  // [features], falling
  std::vector<Bucket> buckets_;
  Tensor<float, 2> directions_;
};

}  // namespace orthant::sae
