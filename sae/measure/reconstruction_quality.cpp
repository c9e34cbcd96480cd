#include "sae/measure/reconstruction_quality.h"

#include <algorithm>
#include <cmath>

#include "sae/measure/row_inference.h"

namespace orthant::sae {
namespace {

constexpr int64_t kBlockRows = 256;

// Sums over one block of rows.
enum Sum {
  kError,       // |x - xhat|^2
  kCentred,     // |x - mean|^2
  kErrorRatio,  // |x - xhat|^2 / |x - mean|^2
  kSquares,     // |x|^2
  kOutSquares,  // |xhat|^2
  kProduct,     // <x, xhat>
  kCosine,
  kNormIn,
  kNormOut,
  kNormRatio,
  kTotal,       // sum of all entries of x
  kEntries,     // codes, this shard
  kActivation,  // sum of code values, this shard
  kSums
};

struct Blocks {
  int64_t rows;
  int64_t count;
  Share mine;  // of this replica

  [[nodiscard]] int64_t rows_of(int64_t block) const {
    return std::min(kBlockRows, rows - block * kBlockRows);
  }
};

Blocks deal(ActivationSource& source, Split split, int64_t rows, Communicator& replicas) {
  if (const int64_t available = source.rows(split); available > 0) rows = std::min(rows, available);
  const int64_t count = (rows + kBlockRows - 1) / kBlockRows;
  return {rows, count, share_of(count, replicas.size(), replicas.rank())};
}

// Adds the blocks of all replicas in order: `own` [mine.count, width] -> [width].
std::vector<double> total(const std::vector<double>& own, int64_t width, const Blocks& blocks,
                          Communicator& replicas, Stream& stream) {
  std::vector<int64_t> counts;
  for (int r = 0; r < replicas.size(); ++r) {
    counts.push_back(share_of(blocks.count, replicas.size(), r).count * width);
  }
  std::vector<double> all(static_cast<size_t>(blocks.count * width));
  replicas.all_gather_uneven(own.data(), all.data(), counts, Dtype::kF64, stream);
  std::vector<double> sums(static_cast<size_t>(width), 0.0);
  for (int64_t b = 0; b < blocks.count; ++b) {
    for (int64_t i = 0; i < width; ++i)
      sums[static_cast<size_t>(i)] += all[static_cast<size_t>(b * width + i)];
  }
  return sums;
}

std::vector<double> mean_activation(ActivationSource& source, Split split, const Blocks& blocks,
                                    Communicator& replicas, Stream& stream) {
  const int64_t d_model = source.d_model();
  Memory memory;
  Tensor<float, 2> x(memory, "measure", {kBlockRows, d_model});
  std::vector<double> sums(static_cast<size_t>(blocks.mine.count * d_model), 0.0);
  for (int64_t b = 0; b < blocks.mine.count; ++b) {
    const int64_t block = blocks.mine.first + b;
    const Matrix<float> rows = x.view().rows(0, blocks.rows_of(block));
    source.read(split, block * kBlockRows, rows, nullptr);
    for (int64_t r = 0; r < rows.shape[0]; ++r) {
      for (int64_t c = 0; c < d_model; ++c) sums[static_cast<size_t>(b * d_model + c)] += rows.row(r)[c];
    }
  }
  std::vector<double> mean = total(sums, d_model, blocks, replicas, stream);
  for (double& value : mean) value /= static_cast<double>(std::max<int64_t>(blocks.rows, 1));
  return mean;
}

// Adds |x - xhat|^2 and |x - mean|^2 of each source to pairs of sums.
void add_sources(const float* x, const float* out, const std::vector<double>& mean, int64_t width,
                 double* sums) {
  for (size_t c = 0; c < mean.size(); ++c) {
    double* const own = sums + 2 * (static_cast<int64_t>(c) / width);
    const double in = x[c], error = in - out[c];
    own[0] += error * error;
    own[1] += (in - mean[c]) * (in - mean[c]);
  }
}

void add_row(const float* x, const float* out, const std::vector<double>& mean, double* sums,
             double* residual) {
  double error = 0.0, centred = 0.0, squares = 0.0, out_squares = 0.0, product = 0.0, entries = 0.0;
  for (size_t c = 0; c < mean.size(); ++c) {
    const double in = x[c];
    const double e = in - out[c];
    error += e * e;
    centred += (in - mean[c]) * (in - mean[c]);
    squares += in * in;
    out_squares += static_cast<double>(out[c]) * out[c];
    product += in * out[c];
    entries += in;
    residual[c] += e;
  }
  const double norm = std::sqrt(squares), out_norm = std::sqrt(out_squares);
  sums[kError] += error;
  sums[kCentred] += centred;
  if (centred > 0.0) sums[kErrorRatio] += error / centred;
  sums[kSquares] += squares;
  sums[kOutSquares] += out_squares;
  sums[kProduct] += product;
  if (norm * out_norm > 0.0) sums[kCosine] += product / (norm * out_norm);
  sums[kNormIn] += norm;
  sums[kNormOut] += out_norm;
  if (norm > 0.0) sums[kNormRatio] += out_norm / norm;
  sums[kTotal] += entries;
}

double ratio(double part, double whole) {
  return whole != 0.0 ? part / whole : 0.0;
}

void fill_quality(const std::vector<double>& s, const std::vector<double>& residual, int64_t d_model,
                  ReconstructionQuality& q) {
  const double rows = static_cast<double>(q.rows);
  const double width = static_cast<double>(d_model);
  double residual_squares = 0.0;
  for (const double sum : residual) residual_squares += sum * sum / rows;
  q.explained_variance = 1.0 - ratio(s[kError], s[kCentred]);
  q.explained_variance_per_coordinate = 1.0 - ratio(s[kError] - residual_squares, s[kCentred]);
  q.explained_variance_legacy = 1.0 - s[kErrorRatio] / rows;
  const double mean_square = s[kSquares] / (rows * width);
  q.explained_variance_saelens =
      1.0 - ratio(s[kError] / rows, s[kSquares] / rows - mean_square * mean_square);
  const double mean = s[kTotal] / (rows * width);
  q.fvu_global_mean = ratio(s[kError] / (rows * width), mean_square - mean * mean);
  q.mse = s[kError] / rows;
  q.cosine = s[kCosine] / rows;
  q.l2_norm_in = s[kNormIn] / rows;
  q.l2_norm_out = s[kNormOut] / rows;
  q.l2_ratio = s[kNormRatio] / rows;
  q.relative_reconstruction_bias = ratio(s[kOutSquares], s[kProduct]);
  q.l0 = s[kEntries] / rows;
  q.l1 = s[kActivation] / rows;
}

}  // namespace

ReconstructionQuality measure_reconstruction(const Dictionary& dictionary, ActivationSource& source,
                                             Split split, int64_t rows, Grid& grid, int virtual_shards) {
  Stream stream;
  Memory memory;
  const int64_t d_model = source.d_model();
  const Blocks blocks = deal(source, split, rows, *grid.data);
  ReconstructionQuality quality;
  quality.rows = blocks.rows;
  quality.firing_counts.assign(static_cast<size_t>(dictionary.local_latents()), 0);
  quality.max_activations.assign(static_cast<size_t>(dictionary.local_latents()), 0.0f);
  if (blocks.rows == 0) return quality;
  const std::vector<double> mean = mean_activation(source, split, blocks, *grid.data, stream);
  RowInference inference(dictionary, kBlockRows, *grid.dictionary, virtual_shards);
  Tensor<float, 2> x(memory, "measure", {kBlockRows, d_model});
  Tensor<float, 2> out(memory, "measure", {kBlockRows, d_model});

  const int64_t sources = dictionary.sources > 1 ? dictionary.sources : 0;
  const int64_t width = kSums + d_model + 2 * sources;
  std::vector<double> sums(static_cast<size_t>(blocks.mine.count * width), 0.0);
  for (int64_t b = 0; b < blocks.mine.count; ++b) {
    const int64_t block = blocks.mine.first + b;
    const Matrix<float> in = x.view().rows(0, blocks.rows_of(block));
    const Matrix<float> reconstructed = out.view().rows(0, in.shape[0]);
    source.read(split, block * kBlockRows, in, nullptr);
    const kernels::CodesView codes = inference.encode(in);
    inference.decode(reconstructed);
    double* sum = sums.data() + b * width;
    for (int64_t r = 0; r < in.shape[0]; ++r) {
      add_row(in.row(r), reconstructed.row(r), mean, sum, sum + kSums);
      if (sources == 0) continue;
      add_sources(in.row(r), reconstructed.row(r), mean, dictionary.source_width(), sum + kSums + d_model);
    }
    for (int64_t e = codes.row_offsets.data[0]; e < codes.entries(); ++e) {
      const float value = codes.values.data[e];
      if (value <= 0.0f) continue;
      const auto local = static_cast<size_t>(codes.latents.data[e] - dictionary.slice.first);
      sum[kEntries] += 1.0;
      sum[kActivation] += value;
      ++quality.firing_counts[local];
      quality.max_activations[local] = std::max(quality.max_activations[local], value);
    }
  }
  std::vector<double> all = total(sums, width, blocks, *grid.data, stream);
  grid.dictionary->all_reduce(all.data() + kEntries, 2, Dtype::kF64, ReduceOp::kSum, stream);
  const auto of_sources = all.begin() + kSums + d_model;
  fill_quality(all, std::vector<double>(all.begin() + kSums, of_sources), d_model, quality);
  for (int64_t s = 0; s < sources; ++s) {
    quality.explained_variance_of_source.push_back(1.0 - ratio(of_sources[2 * s], of_sources[2 * s + 1]));
  }

  grid.data->all_reduce(quality.firing_counts.data(), dictionary.local_latents(), Dtype::kI64, ReduceOp::kSum,
                        stream);
  grid.data->all_reduce(quality.max_activations.data(), dictionary.local_latents(), Dtype::kF32,
                        ReduceOp::kMax, stream);
  int64_t alive = std::count_if(quality.firing_counts.begin(), quality.firing_counts.end(),
                                [](int64_t count) { return count > 0; });
  grid.dictionary->all_reduce(&alive, 1, Dtype::kI64, ReduceOp::kSum, stream);
  quality.alive_fraction = ratio(static_cast<double>(alive), static_cast<double>(dictionary.latents));
  return quality;
}

}  // namespace orthant::sae
