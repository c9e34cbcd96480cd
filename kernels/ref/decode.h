// Double-precision references of decode.h: naive loops over f32 operands. Thread-safe.
#pragma once

#include <vector>

#include "kernels/codes/decode.h"

namespace orthant::kernels::ref {

// [rows, d_model]; `before` [rows, d_model] is what kOut adds to.
[[nodiscard]] std::vector<double> decode(CodesView codes, int64_t first_latent, Matrix<const float> decoder,
                                         DecodeStart start, Vector<const float> bias,
                                         Matrix<const float> before);

struct ErrorRows {
  std::vector<double> gradient;       // [rows, d_model]
  std::vector<double> squared_error;  // [rows]
};
[[nodiscard]] ErrorRows reconstruction_error(Matrix<const float> input, Matrix<const float> reconstruction,
                                             double scale);

// [entries]
[[nodiscard]] std::vector<double> value_gradients(CodesView codes, int64_t first_latent,
                                                  Matrix<const float> decoder, Matrix<const float> gradient);

// [columns]
[[nodiscard]] std::vector<double> column_sums(Matrix<const float> matrix);

}  // namespace orthant::kernels::ref
