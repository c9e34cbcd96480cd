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
  if (!whitens()) return;
  const int64_t width = dictionary.d_model;
  for (kernels::PackedWeights* const weights : {&whiten_, &unwhiten_}) {
    *weights = kernels::PackedWeights(memory, segment, width, width, kernels::Precision::kF32, order);
  }
  factors_ = Tensor<float, 2>(memory, segment, {width, width});
  block_ = Tensor<float, 2>(memory, segment, {std::min(rows, kWhitenedRows), width});
}

void InputScaler::prepare(Stream& stream) {
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

void InputScaler::scale(Matrix<float> x, Stream& stream) {
  if (scales_rows()) {
    kernels::standardize_rows(standard_of(dictionary_->input_scaling), x, mean_.view(), deviation_.view(),
                              stream);
  } else if (whitens()) {
    kernels::subtract_row(x, dictionary_->whitening.mean.view(), x, stream);
    multiply(whiten_, x, stream);
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
  } else if (dictionary_->input_scale != 1.0) {
    kernels::scale(static_cast<float>(1.0 / dictionary_->input_scale), kernels::flat(x), stream);
  }
}

PresampleStatistics presample(ActivationSource& source, int64_t rows, Communicator& world) {
  const int64_t d_model = source.d_model();
  if (const int64_t available = source.rows(Split::kTrain); available > 0) rows = std::min(rows, available);
  const int64_t blocks = (rows + kPresampleBlock - 1) / kPresampleBlock;
  // Of each block: sum of squares, sum of norms, sum of each coordinate.
  const int64_t width = d_model + 2;
  const Share mine = share_of(blocks, world.size(), world.rank());
  Memory memory;
  Tensor<float, 2> x(memory, "presample", {kPresampleBlock, d_model});
  std::vector<double> sums(static_cast<size_t>(blocks * width), 0.0);
  for (int64_t b = mine.first; b < mine.end(); ++b) {
    const int64_t count = std::min(kPresampleBlock, rows - b * kPresampleBlock);
    const Matrix<float> block = x.view().rows(0, count);
    source.read(Split::kTrain, b * kPresampleBlock, block, nullptr);
    double* sum = sums.data() + b * width;
    for (int64_t r = 0; r < count; ++r) {
      double squares = 0.0;
      for (int64_t c = 0; c < d_model; ++c) {
        const double value = block.row(r)[c];
        squares += value * value;
        sum[2 + c] += value;
      }
      sum[0] += squares;
      sum[1] += std::sqrt(squares);
    }
  }
  Stream stream;
  std::vector<int64_t> counts;
  for (int r = 0; r < world.size(); ++r) counts.push_back(share_of(blocks, world.size(), r).count * width);
  std::vector<double> all(sums.size());
  world.all_gather_uneven(sums.data() + mine.first * width, all.data(), counts, Dtype::kF64, stream);

  PresampleStatistics statistics{.mean = std::vector<double>(static_cast<size_t>(d_model), 0.0),
                                 .rows = rows};
  for (int64_t b = 0; b < blocks; ++b) {
    const double* sum = all.data() + b * width;
    statistics.mean_square += sum[0];
    statistics.mean_norm += sum[1];
    for (int64_t c = 0; c < d_model; ++c) statistics.mean[static_cast<size_t>(c)] += sum[2 + c];
  }
  const double count = std::max<double>(1.0, static_cast<double>(rows));
  statistics.mean_square /= count * static_cast<double>(d_model);
  statistics.mean_norm /= count;
  for (double& value : statistics.mean) value /= count;
  return statistics;
}

double input_scale_of(InputScaling scaling, const PresampleStatistics& statistics, int64_t d_model) {
  if (!std::isfinite(statistics.mean_square) || !std::isfinite(statistics.mean_norm)) {
    throw Error(
        ExitCode::kNonFinite,
        {.problem = fmt::format("the first {} activations hold values that are not finite", statistics.rows),
         .why = fmt::format("their mean square is {}", statistics.mean_square),
         .suggestion = "Look for the rows, or leave them out by source.exclude.norm_ratio."});
  }
  if (scaling == InputScaling::kUnitMeanSquare && statistics.mean_square > 0.0) {
    return 1.0 / std::sqrt(statistics.mean_square);
  }
  if (scaling == InputScaling::kExpectedAverageOnlyIn && statistics.mean_norm > 0.0) {
    return std::sqrt(static_cast<double>(d_model)) / statistics.mean_norm;
  }
  return 1.0;
}

}  // namespace orthant::sae
