#include "kernels/backward/outer_sums.h"

#include <algorithm>
#include <cmath>

#include "kernels/backward/transpose.h"
#include "kernels/dispatch.h"
#include "kernels/transformer/transformer_rows.h"

namespace orthant::kernels {
namespace {

constexpr int64_t kPanelWidth = 16;

// Columns that fill no panel.
void add_last_columns(Matrix<const float> turned, Matrix<const float> b, int64_t first, Matrix<float> into) {
  for (int64_t m = 0; m < into.shape[0]; ++m) {
    for (int64_t n = first; n < into.shape[1]; ++n) {
      float sum = into.row(m)[n];
      for (int64_t r = 0; r < b.shape[0]; ++r) sum = std::fma(turned.row(m)[r], b.row(r)[n], sum);
      into.row(m)[n] = sum;
    }
  }
}

// into[c] += the sum over rows r of term(r, c), pieces of columns at a time so that rows are read in their
// order.
template <typename Term>
void sum_columns(Matrix<const float> shape, Vector<float> into, const Term& term) {
  constexpr int64_t kPiece = 64;
#pragma omp parallel for schedule(static) if (shape.elements() > 65536)
  for (int64_t first = 0; first < shape.shape[1]; first += kPiece) {
    const int64_t count = std::min(kPiece, shape.shape[1] - first);
    double piece[kPiece] = {};
    for (int64_t r = 0; r < shape.shape[0]; ++r) {
      for (int64_t c = 0; c < count; ++c) piece[c] += term(r, first + c);
    }
    for (int64_t c = 0; c < count; ++c) into.data[first + c] += static_cast<float>(piece[c]);
  }
}

}  // namespace

void add_outer_sums(Matrix<const float> a, Matrix<const float> b, Matrix<float> turned, Matrix<float> into,
                    Stream& stream) {
  require(a.shape[0] == b.shape[0] && turned.shape[0] == a.shape[1] && turned.shape[1] == a.shape[0] &&
              into.shape[0] == a.shape[1] && into.shape[1] == b.shape[1],
          "outer sums' shapes agree");
  if (a.device.kind == DeviceKind::kCuda) throw_no_body("add_outer_sums", a.device);
  if (a.shape[0] == 0) return;
  transpose(a, turned, stream);
  const int64_t whole = b.shape[1] / kPanelWidth;
#pragma omp parallel for schedule(dynamic, 1) if (a.elements() * b.shape[1] > 65536)
  for (int64_t panel = 0; panel < whole; ++panel) {
    transformer_rows().panel_product({.a = turned.data,
                                      .a_stride = turned.shape[1],
                                      .b = b.data + panel * kPanelWidth,
                                      .b_stride = b.shape[1],
                                      .out = into.data + panel * kPanelWidth,
                                      .out_stride = into.shape[1],
                                      .rows = into.shape[0],
                                      .depth = a.shape[0]});
  }
  add_last_columns(turned, b, whole * kPanelWidth, into);
}

void add_column_sums(Matrix<const float> x, float factor, Vector<float> into, Stream&) {
  require(into.shape[0] == x.shape[1], "column sums are [columns]");
  if (x.device.kind == DeviceKind::kCuda) throw_no_body("add_column_sums", x.device);
  sum_columns(x, into, [&](int64_t r, int64_t c) { return static_cast<double>(factor) * x.row(r)[c]; });
}

void add_column_products(Matrix<const float> a, Matrix<const float> b, Vector<const float> factors,
                         Vector<float> into, Stream&) {
  require(a.shape == b.shape && into.shape[0] == a.shape[1] &&
              (factors.shape[0] == 0 || factors.shape[0] == a.shape[0]),
          "column products' shapes agree");
  if (a.device.kind == DeviceKind::kCuda) throw_no_body("add_column_products", a.device);
  sum_columns(a, into, [&](int64_t r, int64_t c) {
    const double factor = factors.shape[0] > 0 ? factors.data[r] : 1.0;
    return factor * a.row(r)[c] * b.row(r)[c];
  });
}

}  // namespace orthant::kernels
