#include "kernels/decode_cpu.h"

#include <algorithm>

#include "kernels/gather.h"
#include "kernels/row_slice.h"

namespace orthant::kernels::cpu {
namespace {

constexpr int64_t kRowsAtATime = 16;  // handed to a thread: rows differ in their number of entries
constexpr int64_t kSumBlockRows = 64;
constexpr int64_t kSumColumns = 32;

GatheredRows decoder_rows(const CodesView& codes, EntryRange range, Matrix<const float> decoder,
                          int64_t first_latent) {
  return {.matrix = decoder.data,
          .width = decoder.shape[1],
          .rows = codes.latents.data + range.first,
          .first_row = first_latent,
          .count = range.count()};
}

// Sums of columns [first, last), at most kSumColumns of them.
void sum_columns(Matrix<const float> matrix, int64_t first, int64_t last, double* sums) {
  std::fill(sums + first, sums + last, 0.0);
  const int64_t count = last - first;
  for (int64_t block = 0; block < matrix.shape[0]; block += kSumBlockRows) {
    double partial[kSumColumns] = {};
    const int64_t end = std::min(block + kSumBlockRows, matrix.shape[0]);
    for (int64_t r = block; r < end; ++r) {
      const float* row = matrix.row(r) + first;
      for (int64_t c = 0; c < count; ++c) partial[c] += static_cast<double>(row[c]);
    }
    for (int64_t c = 0; c < count; ++c) sums[first + c] += partial[c];
  }
}

}  // namespace

void decode(CodesView codes, int64_t first_latent, Matrix<const float> decoder, DecodeStart start,
            Vector<const float> bias, Matrix<float> out) {
  const GatherOps& ops = gather_ops();
  const int64_t last_latent = first_latent + decoder.shape[0];
  const int64_t d_model = out.shape[1];
#pragma omp parallel for schedule(dynamic, kRowsAtATime)
  for (int64_t r = 0; r < codes.rows(); ++r) {
    float* sum = out.row(r);
    if (start == DecodeStart::kZero) std::fill(sum, sum + d_model, 0.0f);
    if (start == DecodeStart::kBias) std::copy(bias.data, bias.data + d_model, sum);
    const EntryRange range = row_slice(codes, r, first_latent, last_latent);
    ops.weighted_sum(decoder_rows(codes, range, decoder, first_latent), codes.values.data + range.first, sum);
  }
}

void reconstruction_error(Matrix<const float> input, Matrix<const float> reconstruction, float scale,
                          Matrix<float> gradient, Vector<double> squared_error) {
  const GatherOps& ops = gather_ops();
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < input.shape[0]; ++r) {
    squared_error.data[r] =
        ops.error_row(input.row(r), reconstruction.row(r), scale, input.shape[1], gradient.row(r));
  }
}

void value_gradients(CodesView codes, int64_t first_latent, Matrix<const float> decoder,
                     Matrix<const float> gradient, Vector<float> value_gradients) {
  const GatherOps& ops = gather_ops();
  const int64_t last_latent = first_latent + decoder.shape[0];
#pragma omp parallel for schedule(dynamic, kRowsAtATime)
  for (int64_t r = 0; r < codes.rows(); ++r) {
    const EntryRange range = row_slice(codes, r, first_latent, last_latent);
    float* products = value_gradients.data;
    ops.dots(decoder_rows(codes, range, decoder, first_latent), gradient.row(r), products + range.first);
    std::fill(products + codes.row_offsets.data[r], products + range.first, 0.0f);
    std::fill(products + range.last, products + codes.row_offsets.data[r + 1], 0.0f);
    for (int64_t e = range.first; e < range.last; ++e) {
      if (!(codes.values.data[e] > 0.0f)) products[e] = 0.0f;
    }
  }
}

void column_sums(Matrix<const float> matrix, Vector<double> sums) {
  const int64_t columns = matrix.shape[1];
#pragma omp parallel for schedule(dynamic)
  for (int64_t first = 0; first < columns; first += kSumColumns) {
    sum_columns(matrix, first, std::min(first + kSumColumns, columns), sums.data);
  }
}

}  // namespace orthant::kernels::cpu
