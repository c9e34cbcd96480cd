#include "kernels/dense/rows_cuda.h"
#include "kernels/dispatch.h"

namespace orthant::kernels::cuda {

void add_row(Matrix<const float> x, Vector<const float>, Matrix<float>, Stream&) {
  throw_no_body("add_row", x.device);
}

void subtract_row(Matrix<const float> x, Vector<const float>, Matrix<float>, Stream&) {
  throw_no_body("subtract_row", x.device);
}

void add(Vector<const float> x, Vector<float>, Stream&) {
  throw_no_body("add", x.device);
}

void subtract(Vector<const float> a, Vector<const float>, Vector<float>, Stream&) {
  throw_no_body("subtract", a.device);
}

void scale(float, Vector<float> values, Stream&) {
  throw_no_body("scale", values.device);
}

void divide(double, Vector<double> values, Stream&) {
  throw_no_body("divide", values.device);
}

void add_rounded(Vector<const double> x, bool, Vector<float>, Stream&) {
  throw_no_body("add_rounded", x.device);
}

void widen(Vector<const float> x, Vector<double>, Stream&) {
  throw_no_body("widen", x.device);
}

void row_norms(Matrix<const float> matrix, Vector<double>, Stream&, int64_t) {
  throw_no_body("row_norms", matrix.device);
}

void row_norms(Matrix<const float> matrix, Vector<float>, Stream&, int64_t) {
  throw_no_body("row_norms", matrix.device);
}

void squared_norms(Matrix<const float> x, Vector<float>, Stream&) {
  throw_no_body("squared_norms", x.device);
}

void squared_distances(Matrix<const float> x, Vector<const double>, double, Vector<double>, Stream&) {
  throw_no_body("squared_distances", x.device);
}

void standardize_rows(RowStandard, Matrix<float> x, Vector<float>, Vector<float>, Stream&) {
  throw_no_body("standardize_rows", x.device);
}

void restore_rows(Vector<const float>, Vector<const float>, Matrix<float> x, Stream&) {
  throw_no_body("restore_rows", x.device);
}

void add_in_tree(Matrix<float> parts, Stream&) {
  throw_no_body("add_in_tree", parts.device);
}

void copy_columns(Matrix<const float> from, int64_t, Matrix<float>, Stream&) {
  throw_no_body("copy_columns", from.device);
}

void segment_sums(Vector<const double> values, Vector<const int64_t>, Vector<double>, Stream&) {
  throw_no_body("segment_sums", values.device);
}

void sum_of_rows(Matrix<const float> rows, Vector<float>, Stream&) {
  throw_no_body("sum_of_rows", rows.device);
}

}  // namespace orthant::kernels::cuda
