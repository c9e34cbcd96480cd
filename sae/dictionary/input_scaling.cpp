#include "sae/dictionary/input_scaling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/dense/elementwise.h"
#include "kernels/dense/row_moments.h"
#include "runtime/core/error.h"
#include "runtime/device/host_copy.h"

namespace orthant::sae {
namespace {

constexpr int64_t kPresampleBlock = 1024;
constexpr int64_t kWhitenedRows = 1024;  // at once

bool is_of_rows(InputScaling scaling) {
  return scaling == InputScaling::kLayerNorm || scaling == InputScaling::kConstantNormRescale;
}

bool is_one_scalar(InputScaling scaling) {
  return scaling == InputScaling::kUnitMeanSquare || scaling == InputScaling::kExpectedAverageOnlyIn;
}

kernels::RowStandard standard_of(InputScaling scaling) {
  return scaling == InputScaling::kLayerNorm ? kernels::RowStandard::kLayerNorm
                                             : kernels::RowStandard::kUnitMeanSquare;
}

}  // namespace

InputScaler::InputScaler(Memory& memory, std::string_view segment, const Dictionary& dictionary, int64_t rows,
                         kernels::ProductOrder order)
    : dictionary_(&dictionary),
      mean_(memory, segment, {is_of_rows(dictionary.input_scaling) ? rows : 0}),
      deviation_(memory, segment, {is_of_rows(dictionary.input_scaling) ? rows : 0}) {
  if (dictionary.sources > 1 && is_one_scalar(dictionary.input_scaling)) {
    for (Tensor<float, 1>* of : {&source_mean_, &source_scale_, &source_unscale_}) {
      *of = Tensor<float, 1>(memory, segment, {rows * dictionary.sources});
    }
  }
  if (!whitens()) return;
  const int64_t width = dictionary.d_model;
  for (kernels::PackedWeights* const weights : {&whiten_, &unwhiten_}) {
    *weights = kernels::PackedWeights(memory, segment, width, width, kernels::Precision::kF32, order);
  }
  factors_ = Tensor<float, 2>(memory, segment, {width, width});
  block_ = Tensor<float, 2>(memory, segment, {std::min(rows, kWhitenedRows), width});
}

void InputScaler::prepare_sources() {
  const int64_t count = source_scale_.shape()[0];
  std::vector<float> scale(static_cast<size_t>(count)), unscale(static_cast<size_t>(count));
  for (size_t i = 0; i < scale.size(); ++i) {
    const double own = dictionary_->source_scales[i % dictionary_->source_scales.size()];
    scale[i] = static_cast<float>(own);
    unscale[i] = static_cast<float>(1.0 / own);
  }
  const auto put = [](const std::vector<float>& values, Tensor<float, 1>& into) {
    copy_bytes(into.data(), into.view().device, values.data(), kCpu, into.view().bytes());
  };
  source_mean_.zero();
  put(scale, source_scale_);
  put(unscale, source_unscale_);
}

void InputScaler::prepare(Stream& stream) {
  if (scales_sources()) return prepare_sources();
  if (!whitens()) return;
  const int64_t width = dictionary_->d_model;
  const Matrix<const float> all_axes = dictionary_->whitening.axes.view();
  const Vector<const float> all_spreads = dictionary_->whitening.spread.view();
  HostCopy axes_on_host(all_axes.device, all_axes.bytes());
  HostCopy spreads_on_host(all_spreads.device, all_spreads.bytes());
  const float* const axes = axes_on_host.of(all_axes).data;
  const float* const spread = spreads_on_host.of(all_spreads).data;
  std::vector<float> factors(static_cast<size_t>(width * width));
  const auto pack = [&](kernels::PackedWeights& weights) {
    const Matrix<float> on_device = factors_.view();
    copy_bytes(on_device.data, on_device.device, factors.data(), kCpu, on_device.bytes());
    weights.pack(on_device, stream);
  };
  for (int64_t i = 0; i < width; ++i) {
    for (int64_t c = 0; c < width; ++c) {
      factors[static_cast<size_t>(i * width + c)] = axes[i * width + c] / spread[i];
    }
  }
  pack(whiten_);
  for (int64_t c = 0; c < width; ++c) {
    for (int64_t i = 0; i < width; ++i) {
      factors[static_cast<size_t>(c * width + i)] = axes[i * width + c] * spread[i];
    }
  }
  pack(unwhiten_);
}

void InputScaler::multiply(const kernels::PackedWeights& weights, Matrix<float> x, Stream& stream) {
  for (int64_t first = 0; first < x.shape[0]; first += block_.shape()[0]) {
    const Matrix<float> rows = x.rows(first, std::min(block_.shape()[0], x.shape[0] - first));
    const Matrix<float> copy = block_.view().rows(0, rows.shape[0]);
    kernels::copy(kernels::flat<const float>(rows), kernels::flat(copy), stream);
    kernels::matmul_nt(copy, weights, rows, stream);
  }
}

void InputScaler::multiply_sources(const Tensor<float, 1>& factors, Matrix<float> x, Stream& stream) {
  kernels::restore_rows(source_mean_.view(), factors.view(), rows_of_sources(x, dictionary_->sources),
                        stream);
}

void InputScaler::scale(Matrix<float> x, Stream& stream) {
  if (scales_rows()) {
    kernels::standardize_rows(standard_of(dictionary_->input_scaling), x, mean_.view(), deviation_.view(),
                              stream);
  } else if (whitens()) {
    kernels::subtract_row(x, dictionary_->whitening.mean.view(), x, stream);
    multiply(whiten_, x, stream);
  } else if (scales_sources()) {
    multiply_sources(source_scale_, x, stream);
  } else if (dictionary_->input_scale != 1.0) {
    kernels::scale(static_cast<float>(dictionary_->input_scale), kernels::flat(x), stream);
  }
}

void InputScaler::unscale(Matrix<float> x, Stream& stream) {
  if (scales_rows()) {
    kernels::restore_rows(mean_.view(), deviation_.view(), x, stream);
  } else if (whitens()) {
    multiply(unwhiten_, x, stream);
    kernels::add_row(x, dictionary_->whitening.mean.view(), x, stream);
  } else if (scales_sources()) {
    multiply_sources(source_unscale_, x, stream);
  } else if (dictionary_->input_scale != 1.0) {
    kernels::scale(static_cast<float>(1.0 / dictionary_->input_scale), kernels::flat(x), stream);
  }
}

namespace {

// Adds row `x` [sources * width] to sums: of squares and of norms of each source, then of each coordinate.
void add_presampled(const float* x, int64_t sources, int64_t width, double* sums) {
  double* const coordinates = sums + 2 * sources;
  for (int64_t s = 0; s < sources; ++s) {
    double squares = 0.0;
    for (int64_t c = s * width; c < (s + 1) * width; ++c) {
      const double value = x[c];
      squares += value * value;
      coordinates[c] += value;
    }
    sums[s] += squares;
    sums[sources + s] += std::sqrt(squares);
  }
}

}  // namespace

PresampleStatistics presample(ActivationSource& source, int64_t rows, int64_t sources, Communicator& world) {
  const int64_t d_model = source.d_model();
  if (const int64_t available = source.rows(Split::kTrain); available > 0) rows = std::min(rows, available);
  const int64_t blocks = (rows + kPresampleBlock - 1) / kPresampleBlock;
  const int64_t width = d_model + 2 * sources;
  const Share mine = share_of(blocks, world.size(), world.rank());
  Memory memory;
  Tensor<float, 2> x(memory, "presample", {kPresampleBlock, d_model});
  std::vector<double> sums(static_cast<size_t>(blocks * width), 0.0);
  for (int64_t b = mine.first; b < mine.end(); ++b) {
    const int64_t count = std::min(kPresampleBlock, rows - b * kPresampleBlock);
    const Matrix<float> block = x.view().rows(0, count);
    source.read(Split::kTrain, b * kPresampleBlock, block, nullptr);
    for (int64_t r = 0; r < count; ++r) {
      add_presampled(block.row(r), sources, d_model / sources, sums.data() + b * width);
    }
  }
  Stream stream;
  std::vector<int64_t> counts;
  for (int r = 0; r < world.size(); ++r) counts.push_back(share_of(blocks, world.size(), r).count * width);
  std::vector<double> all(sums.size());
  world.all_gather_uneven(sums.data() + mine.first * width, all.data(), counts, Dtype::kF64, stream);

  std::vector<double> total(static_cast<size_t>(width), 0.0);
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t i = 0; i < width; ++i)
      total[static_cast<size_t>(i)] += all[static_cast<size_t>(b * width + i)];
  }
  const double count = std::max<double>(1.0, static_cast<double>(rows));
  const auto coordinates = total.begin() + 2 * sources;
  PresampleStatistics statistics{.mean_square = {total.begin(), total.begin() + sources},
                                 .mean_norm = {total.begin() + sources, coordinates},
                                 .mean = {coordinates, total.end()},
                                 .rows = rows};
  const double elements = count * static_cast<double>(d_model / sources);
  for (double& value : statistics.mean_square) value /= elements;
  for (double& value : statistics.mean_norm) value /= count;
  for (double& value : statistics.mean) value /= count;
  return statistics;
}

namespace {

double input_scale_of(InputScaling scaling, double mean_square, double mean_norm, int64_t width) {
  if (scaling == InputScaling::kUnitMeanSquare && mean_square > 0.0) return 1.0 / std::sqrt(mean_square);
  if (scaling == InputScaling::kExpectedAverageOnlyIn && mean_norm > 0.0) {
    return std::sqrt(static_cast<double>(width)) / mean_norm;
  }
  return 1.0;
}

}  // namespace

std::vector<double> input_scales_of(InputScaling scaling, const PresampleStatistics& statistics,
                                    int64_t width) {
  std::vector<double> scales;
  for (size_t s = 0; s < statistics.mean_square.size(); ++s) {
    const double mean_square = statistics.mean_square[s], mean_norm = statistics.mean_norm[s];
    if (!std::isfinite(mean_square) || !std::isfinite(mean_norm)) {
      throw Error(ExitCode::kNonFinite,
                  {.problem = fmt::format("the first {} activations hold values that are not finite",
                                          statistics.rows),
                   .why = fmt::format("their mean square is {}", mean_square),
                   .suggestion = "Look for the rows, or leave them out by source.exclude.norm_ratio."});
    }
    scales.push_back(input_scale_of(scaling, mean_square, mean_norm, width));
  }
  return scales;
}

}  // namespace orthant::sae
