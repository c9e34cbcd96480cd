#include "sae/exchange/folded_copy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "runtime/core/error.h"
#include "runtime/core/rng.h"

namespace orthant::sae {
namespace {

constexpr double kLayerNormEpsilon = 1e-5;
constexpr double kRounding = 1e-5;  // relative distance from a limit within which f32 weights cannot decide

double squared_norm(const float* row, int64_t width) {
  double sum = 0.0;
  for (int64_t c = 0; c < width; ++c) sum += static_cast<double>(row[c]) * row[c];
  return sum;
}

std::vector<double> whitened(const Whitening& whitening, const std::vector<double>& x) {
  std::vector<double> along(x.size(), 0.0);
  for (size_t i = 0; i < x.size(); ++i) {
    const float* const axis = whitening.axes.view().row(static_cast<int64_t>(i));
    for (size_t c = 0; c < x.size(); ++c) along[i] += axis[c] * (x[c] - whitening.mean.data()[c]);
    along[i] /= whitening.spread.data()[i];
  }
  return along;
}

// The row as the encoder meets it: scaled, then without the decoder bias.
std::vector<double> encoder_input(const Dictionary& dictionary, const float* row) {
  const int64_t width = dictionary.d_model;
  std::vector<double> x(row, row + width);
  if (dictionary.input_scaling == InputScaling::kLayerNorm) {
    const double mean = std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(width);
    double squares = 0.0;
    for (double& value : x) {
      value -= mean;
      squares += value * value;
    }
    const double deviation = std::sqrt(squares / static_cast<double>(width - 1));
    for (double& value : x) value /= deviation + kLayerNormEpsilon;
  } else if (dictionary.input_scaling == InputScaling::kConstantNormRescale) {
    const double factor = std::sqrt(static_cast<double>(width) / squared_norm(row, width));
    for (double& value : x) value *= factor;
  } else if (dictionary.input_scaling == InputScaling::kWhiten) {
    x = whitened(dictionary.whitening, x);
  } else {
    for (int64_t c = 0; c < width; ++c) x[static_cast<size_t>(c)] *= dictionary.scale_of_column(c);
  }
  if (dictionary.subtract_decoder_bias) {
    for (int64_t c = 0; c < width; ++c) x[static_cast<size_t>(c)] -= dictionary.decoder_bias.data()[c];
  }
  return x;
}

double latent_unit(const Dictionary& dictionary, int64_t latent) {
  if (!dictionary.rescale_acts_by_decoder_norm) return 1.0;
  const int64_t width = dictionary.source_width();
  double sum = 0.0;
  for (int64_t s = 0; s < dictionary.sources; ++s) {
    sum += std::sqrt(squared_norm(dictionary.decoder.view().row(latent) + s * width, width));
  }
  return sum;
}

void fill_pre_activations(const Dictionary& dictionary, Matrix<const float> activations, DenseLatents& out) {
  std::vector<std::vector<double>> inputs;
  for (int64_t r = 0; r < out.rows; ++r) inputs.push_back(encoder_input(dictionary, activations.row(r)));
#pragma omp parallel for
  for (int64_t i = 0; i < out.latents; ++i) {
    const float* encoder = dictionary.encoder.view().row(i);
    const double unit = latent_unit(dictionary, i);
    for (int64_t r = 0; r < out.rows; ++r) {
      double sum = dictionary.encoder_bias.data()[i];
      const std::vector<double>& input = inputs[static_cast<size_t>(r)];
      for (int64_t c = 0; c < dictionary.d_model; ++c) sum += encoder[c] * input[static_cast<size_t>(c)];
      out.pre_activations[static_cast<size_t>(r * out.latents + i)] = sum * unit;
    }
  }
}

void select_topk(const Dictionary& dictionary, DenseLatents& out) {
  const auto width = static_cast<size_t>(out.latents);
  std::vector<int64_t> order(width);
  for (size_t first = 0; first < out.values.size(); first += width) {
    const double* pre = out.pre_activations.data() + first;
    std::iota(order.begin(), order.end(), int64_t{0});
    const auto kth = order.begin() + std::min(dictionary.k, out.latents);
    std::partial_sort(order.begin(), kth, order.end(),
                      [pre](int64_t a, int64_t b) { return pre[a] != pre[b] ? pre[a] > pre[b] : a < b; });
    const double limit = pre[*(kth - 1)];
    std::fill_n(out.limits.begin() + static_cast<int64_t>(first), width, limit);
    for (auto at = order.begin(); at != kth; ++at) {
      out.values[first + static_cast<size_t>(*at)] = std::max(0.0, pre[*at]);
    }
  }
}

double limit_of(const Dictionary& dictionary, int64_t latent) {
  if (dictionary.architecture == Architecture::kBatchTopK) return std::max(0.0, dictionary.threshold);
  if (dictionary.architecture == Architecture::kJumpRelu) return dictionary.thresholds.data()[latent];
  return 0.0;
}

void select_above_limits(const Dictionary& dictionary, DenseLatents& out) {
  for (size_t at = 0; at < out.values.size(); ++at) {
    const double limit = limit_of(dictionary, static_cast<int64_t>(at) % out.latents);
    out.limits[at] = limit;
    if (out.pre_activations[at] > limit) out.values[at] = std::max(0.0, out.pre_activations[at]);
  }
}

void check_ready(const Dictionary& dictionary) {
  if (dictionary.slice.first != 0 || dictionary.slice.count != dictionary.latents) {
    throw Error(ExitCode::kConfig, {.problem = "only a whole dictionary can be compared",
                                    .why = "this rank holds one slice of its latents",
                                    .suggestion = "Load it on one rank."});
  }
  if (dictionary.architecture == Architecture::kBatchTopK && !(dictionary.threshold >= 0.0)) {
    throw Error(ExitCode::kConfig, {.problem = "the BatchTopK dictionary has no inference threshold",
                                    .why = "training ended before one was estimated",
                                    .suggestion = "Train on for some steps, then export again."});
  }
}

double difference_at(const DenseLatents& a, const DenseLatents& b, size_t at, ReloadCheck& check) {
  const bool fires_in_a = a.values[at] > 0.0;
  const bool fires_in_b = b.values[at] > 0.0;
  if (!fires_in_a && !fires_in_b) return 0.0;
  ++check.active;
  if (fires_in_a != fires_in_b) {
    const double distance = std::max(std::abs(a.pre_activations[at] - a.limits[at]),
                                     std::abs(b.pre_activations[at] - b.limits[at]));
    if (distance <= kRounding * std::max(1.0, std::abs(a.limits[at]))) {
      ++check.undecided;
      return distance;
    }
  }
  return std::abs(a.values[at] - b.values[at]);
}

}  // namespace

Dictionary folded_copy(const Dictionary& dictionary, Memory& memory) {
  Dictionary copy = copy_of(dictionary, memory, "export");
  copy.encoder_precision = kernels::Precision::kF32;
  fold_scaling(copy);
  return copy;
}

DenseLatents dense_latents(const Dictionary& dictionary, Matrix<const float> activations) {
  check_ready(dictionary);
  require(activations.shape[1] == dictionary.d_model, "activations have the dictionary's width");
  DenseLatents out;
  out.rows = activations.shape[0];
  out.latents = dictionary.latents;
  const auto count = static_cast<size_t>(out.rows * out.latents);
  out.pre_activations.resize(count);
  out.limits.resize(count);
  out.values.assign(count, 0.0);
  fill_pre_activations(dictionary, activations, out);
  if (dictionary.architecture == Architecture::kTopK) {
    select_topk(dictionary, out);
  } else {
    select_above_limits(dictionary, out);
  }
  return out;
}

Tensor<float, 2> fixture_activations(const Dictionary& dictionary, int64_t rows, Memory& memory) {
  constexpr int kDirections = 8;
  Tensor<float, 2> activations(memory, "export", {rows, dictionary.d_model});
  const double limit = std::max(0.0, dictionary.threshold);
  for (int64_t r = 0; r < rows; ++r) {
    float* row = activations.view().row(r);
    std::vector<double> sum(static_cast<size_t>(dictionary.d_model));
    for (size_t c = 0; c < sum.size(); ++c) {
      const auto index = static_cast<uint64_t>(r) * sum.size() + c;
      sum[c] = dictionary.decoder_bias.data()[c] + 0.1 * random_normal(0, Purpose::kTest, 0, index);
    }
    for (int j = 0; j < kDirections; ++j) {
      const auto index = static_cast<uint64_t>(r * kDirections + j);
      const uint64_t drawn = random_u64(0, Purpose::kTest, 1, index);
      const float* decoder = dictionary.decoder.view().row(
          static_cast<int64_t>(drawn % static_cast<uint64_t>(dictionary.latents)));
      const double magnitude = (1.0 + 3.0 * random_uniform(0, Purpose::kTest, 2, index)) * (1.0 + limit);
      for (size_t c = 0; c < sum.size(); ++c) sum[c] += magnitude * decoder[c];
    }
    for (size_t c = 0; c < sum.size(); ++c) {
      row[c] = static_cast<float>(sum[c] / dictionary.scale_of_column(static_cast<int64_t>(c)));
    }
    if (dictionary.input_scaling != InputScaling::kWhiten) continue;
    const std::vector<float> scaled(row, row + sum.size());
    unwhiten_direction(dictionary.whitening, scaled.data(), row);
    for (size_t c = 0; c < sum.size(); ++c) row[c] += dictionary.whitening.mean.data()[c];
  }
  return activations;
}

ReloadCheck compare_latents(const Dictionary& original, const Dictionary& reloaded, int64_t rows) {
  require(original.latents == reloaded.latents && original.d_model == reloaded.d_model,
          "the reloaded dictionary has the exported shape");
  Memory memory;
  const Tensor<float, 2> activations = fixture_activations(original, rows, memory);
  const DenseLatents a = dense_latents(original, activations.view());
  const DenseLatents b = dense_latents(reloaded, activations.view());
  ReloadCheck check{.rows = rows};
  for (size_t at = 0; at < a.values.size(); ++at) {
    const double difference = difference_at(a, b, at, check);
    // Written so that a NaN is the largest difference there is.
    if (!(difference <= check.maximum_difference)) check.maximum_difference = difference;
    if (std::isnan(check.maximum_difference)) break;
  }
  return check;
}

}  // namespace orthant::sae
