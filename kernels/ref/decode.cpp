#include "kernels/ref/decode.h"

namespace orthant::kernels::ref {

std::vector<double> decode(CodesView codes, int64_t first_latent, Matrix<const float> decoder,
                           DecodeStart start, Vector<const float> bias, Matrix<const float> before) {
  const int64_t d_model = decoder.shape[1];
  std::vector<double> out(static_cast<size_t>(codes.rows() * d_model), 0.0);
  for (int64_t r = 0; r < codes.rows(); ++r) {
    for (int64_t c = 0; c < d_model; ++c) {
      double sum = 0.0;
      if (start == DecodeStart::kBias) sum = bias.data[c];
      if (start == DecodeStart::kOut) sum = before.row(r)[c];
      for (int64_t e = codes.row_offsets.data[r]; e < codes.row_offsets.data[r + 1]; ++e) {
        const int64_t latent = codes.latents.data[e] - first_latent;
        if (latent < 0 || latent >= decoder.shape[0]) continue;
        sum += static_cast<double>(codes.values.data[e]) * static_cast<double>(decoder.row(latent)[c]);
      }
      out[static_cast<size_t>(r * d_model + c)] = sum;
    }
  }
  return out;
}

ErrorRows reconstruction_error(Matrix<const float> input, Matrix<const float> reconstruction, double scale) {
  ErrorRows error;
  for (int64_t r = 0; r < input.shape[0]; ++r) {
    double squares = 0.0;
    for (int64_t c = 0; c < input.shape[1]; ++c) {
      const double difference =
          static_cast<double>(reconstruction.row(r)[c]) - static_cast<double>(input.row(r)[c]);
      error.gradient.push_back(scale * difference);
      squares += difference * difference;
    }
    error.squared_error.push_back(squares);
  }
  return error;
}

std::vector<double> value_gradients(CodesView codes, int64_t first_latent, Matrix<const float> decoder,
                                    Matrix<const float> gradient) {
  std::vector<double> products;
  for (int64_t r = 0; r < codes.rows(); ++r) {
    for (int64_t e = codes.row_offsets.data[r]; e < codes.row_offsets.data[r + 1]; ++e) {
      const int64_t latent = codes.latents.data[e] - first_latent;
      double product = 0.0;
      if (latent >= 0 && latent < decoder.shape[0] && codes.values.data[e] > 0.0f) {
        for (int64_t c = 0; c < decoder.shape[1]; ++c) {
          product += static_cast<double>(gradient.row(r)[c]) * static_cast<double>(decoder.row(latent)[c]);
        }
      }
      products.push_back(product);
    }
  }
  return products;
}

std::vector<double> column_sums(Matrix<const float> matrix) {
  std::vector<double> sums(static_cast<size_t>(matrix.shape[1]), 0.0);
  for (int64_t r = 0; r < matrix.shape[0]; ++r) {
    for (int64_t c = 0; c < matrix.shape[1]; ++c)
      sums[static_cast<size_t>(c)] += static_cast<double>(matrix.row(r)[c]);
  }
  return sums;
}

}  // namespace orthant::kernels::ref
