#include "kernels/codes/decode_cpu.h"

#include <algorithm>

#include "kernels/isa/gather.h"
#include "kernels/isa/row_slice.h"

namespace orthant::kernels::cpu {
namespace {

constexpr int64_t kRowsAtATime = 16;  // handed to a thread: rows differ in their number of entries
constexpr int64_t kSumBlockRows = 64;
constexpr int64_t kSumColumns = 32;

// Codes and the slice of the decoder that they are read against.
struct SlicedCodes {
  CodesView codes;
  Matrix<const float> decoder;  // [local_latents, d_model]
  int64_t first_latent = 0;

  [[nodiscard]] EntryRange range(int64_t row) const {
    return row_slice(codes, row, first_latent, first_latent + decoder.shape[0]);
  }
  [[nodiscard]] GatheredRows gathered(EntryRange entries) const {
    return {.matrix = decoder.data,
            .width = decoder.shape[1],
            .rows = codes.latents.data + entries.first,
            .first_row = first_latent,
            .count = entries.count()};
  }
  // None past the last row.
  [[nodiscard]] GatheredRows gathered_of(int64_t row) const {
    return row < codes.rows() ? gathered(range(row)) : GatheredRows{};
  }
};

void add_decoded_row(const SlicedCodes& sliced, int64_t row, const GatheredRows* following, float* sum) {
  const EntryRange entries = sliced.range(row);
  GatheredRows rows = sliced.gathered(entries);
  rows.following = following;
  gather_ops().weighted_sum(rows, sliced.codes.values.data + entries.first, sum);
}

void value_gradients_of_row(const SlicedCodes& sliced, int64_t row, const float* gradient, float* products) {
  const EntryRange entries = sliced.range(row);
  const CodesView& codes = sliced.codes;
  const GatheredRows following = sliced.gathered_of(row + 1);
  GatheredRows rows = sliced.gathered(entries);
  rows.following = &following;
  gather_ops().dots(rows, gradient, products + entries.first);
  std::fill(products + codes.row_offsets.data[row], products + entries.first, 0.0f);
  std::fill(products + entries.last, products + codes.row_offsets.data[row + 1], 0.0f);
  for (int64_t e = entries.first; e < entries.last; ++e) {
    if (!(codes.values.data[e] > 0.0f)) products[e] = 0.0f;
  }
}

void start_row(DecodeStart start, Vector<const float> bias, int64_t d_model, float* row) {
  if (start == DecodeStart::kZero) std::fill(row, row + d_model, 0.0f);
  if (start == DecodeStart::kBias) std::copy(bias.data, bias.data + d_model, row);
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
  const SlicedCodes sliced{codes, decoder, first_latent};
#pragma omp parallel for schedule(dynamic, kRowsAtATime)
  for (int64_t r = 0; r < codes.rows(); ++r) {
    start_row(start, bias, out.shape[1], out.row(r));
    const GatheredRows following = sliced.gathered_of(r + 1);
    add_decoded_row(sliced, r, &following, out.row(r));
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
  const SlicedCodes sliced{codes, decoder, first_latent};
#pragma omp parallel for schedule(dynamic, kRowsAtATime)
  for (int64_t r = 0; r < codes.rows(); ++r) {
    value_gradients_of_row(sliced, r, gradient.row(r), value_gradients.data);
  }
}

void decode_with_gradients(CodesView codes, int64_t first_latent, Matrix<const float> decoder,
                           Vector<const float> bias, Matrix<const float> input, float scale,
                           Matrix<float> gradient, Vector<double> squared_error,
                           Vector<float> value_gradients) {
  const SlicedCodes sliced{codes, decoder, first_latent};
  const DecodeStart start = bias.shape[0] == 0 ? DecodeStart::kZero : DecodeStart::kBias;
  const int64_t d_model = gradient.shape[1];
#pragma omp parallel for schedule(dynamic, kRowsAtATime)
  for (int64_t r = 0; r < codes.rows(); ++r) {
    float* row = gradient.row(r);
    start_row(start, bias, d_model, row);
    add_decoded_row(sliced, r, nullptr, row);
    squared_error.data[r] = gather_ops().error_row(input.row(r), row, scale, d_model, row);
    value_gradients_of_row(sliced, r, row, value_gradients.data);
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
