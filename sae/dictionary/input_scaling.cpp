#include "sae/dictionary/input_scaling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runtime/core/error.h"

namespace orthant::sae {
namespace {

constexpr int64_t kPresampleBlock = 1024;
constexpr int64_t kWhitenedRows = 1024;  // at once

bool scales_rows(InputScaling scaling) {
  return scaling == InputScaling::kLayerNorm || scaling == InputScaling::kConstantNormRescale;
}

void scale_row(InputScaling scaling, std::span<float> row, float& mean, float& deviation) {
  const double width = static_cast<double>(row.size());
  double sum = 0.0;
  if (scaling == InputScaling::kLayerNorm) {
    for (const float value : row) sum += value;
  }
  const double center = sum / width;
  double squares = 0.0;
  for (const float value : row) squares += (value - center) * (value - center);
  // Layer norm as the lineage has it: sample deviation plus 1e-5. Constant norm: the row's norm becomes
  // sqrt(d).
  const double spread = scaling == InputScaling::kLayerNorm
                            ? std::sqrt(squares / std::max(1.0, width - 1.0)) + 1e-5
                            : std::max(std::sqrt(squares / width), 1e-12);
  mean = static_cast<float>(center);
  deviation = static_cast<float>(spread);
  for (float& value : row) value = (value - mean) / deviation;
}

}  // namespace

InputScaler::InputScaler(Memory& memory, std::string_view segment, const Dictionary& dictionary, int64_t rows)
    : dictionary_(&dictionary),
      mean_(memory, segment, {scales_rows(dictionary.input_scaling) ? rows : 0}),
      deviation_(memory, segment, {scales_rows(dictionary.input_scaling) ? rows : 0}) {
  if (!whitens()) return;
  const int64_t width = dictionary.d_model;
  whiten_ = kernels::PackedWeights(memory, segment, width, width);
  unwhiten_ = kernels::PackedWeights(memory, segment, width, width);
  factors_ = Tensor<float, 2>(memory, segment, {width, width});
  block_ = Tensor<float, 2>(memory, segment, {std::min(rows, kWhitenedRows), width});
}

void InputScaler::prepare(Stream& stream) {
  if (!whitens()) return;
  const Whitening& whitening = dictionary_->whitening;
  const Matrix<float> factors = factors_.view();
  const Matrix<const float> axes = whitening.axes.view();
  const float* const spread = whitening.spread.data();
  for (int64_t i = 0; i < factors.shape[0]; ++i) {
    for (int64_t c = 0; c < factors.shape[1]; ++c) factors.row(i)[c] = axes.row(i)[c] / spread[i];
  }
  whiten_.pack(factors, stream);
  for (int64_t c = 0; c < factors.shape[0]; ++c) {
    for (int64_t i = 0; i < factors.shape[1]; ++i) factors.row(c)[i] = axes.row(i)[c] * spread[i];
  }
  unwhiten_.pack(factors, stream);
}

void InputScaler::multiply(const kernels::PackedWeights& weights, Matrix<float> x, Stream& stream) {
  for (int64_t first = 0; first < x.shape[0]; first += block_.shape()[0]) {
    const Matrix<float> rows = x.rows(first, std::min(block_.shape()[0], x.shape[0] - first));
    const Matrix<float> copy = block_.view().rows(0, rows.shape[0]);
    copy_bytes(copy.data, copy.device, rows.data, rows.device, rows.bytes());
    kernels::matmul_nt(copy, weights, rows, stream);
  }
}

void InputScaler::scale(Matrix<float> x, Stream& stream) {
  const auto width = static_cast<size_t>(x.shape[1]);
  if (scales_rows(dictionary_->input_scaling)) {
#pragma omp parallel for
    for (int64_t r = 0; r < x.shape[0]; ++r) {
      scale_row(dictionary_->input_scaling, {x.row(r), width}, mean_.data()[r], deviation_.data()[r]);
    }
    return;
  }
  if (whitens()) {
    const float* const mean = dictionary_->whitening.mean.data();
#pragma omp parallel for
    for (int64_t r = 0; r < x.shape[0]; ++r) {
      for (size_t c = 0; c < width; ++c) x.row(r)[c] -= mean[c];
    }
    multiply(whiten_, x, stream);
    return;
  }
  if (dictionary_->input_scale == 1.0) return;
  const auto factor = static_cast<float>(dictionary_->input_scale);
#pragma omp parallel for
  for (int64_t r = 0; r < x.shape[0]; ++r) {
    for (float& value : std::span<float>(x.row(r), width)) value *= factor;
  }
}

void InputScaler::unscale(Matrix<float> x, Stream& stream) {
  if (whitens()) {
    multiply(unwhiten_, x, stream);
    const float* const mean = dictionary_->whitening.mean.data();
#pragma omp parallel for
    for (int64_t r = 0; r < x.shape[0]; ++r) {
      for (int64_t c = 0; c < x.shape[1]; ++c) x.row(r)[c] += mean[c];
    }
    return;
  }
  const bool rows = scales_rows(dictionary_->input_scaling);
  if (!rows && dictionary_->input_scale == 1.0) return;
  const auto factor = static_cast<float>(1.0 / dictionary_->input_scale);
#pragma omp parallel for
  for (int64_t r = 0; r < x.shape[0]; ++r) {
    const float scale = rows ? deviation_.data()[r] : factor;
    const float mean = rows ? mean_.data()[r] : 0.0f;
    float* row = x.row(r);
    for (int64_t c = 0; c < x.shape[1]; ++c) row[c] = row[c] * scale + mean;
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
