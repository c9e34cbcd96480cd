#include "kernels/dense/elementwise.h"

#include <algorithm>

#include "kernels/dense/rows_cuda.h"
#include "kernels/isa/vector.h"
#include "runtime/device/pinned_buffer.h"

namespace orthant::kernels {
namespace {

constexpr int64_t kWorthThreads = int64_t{1} << 15;  // elements
constexpr int64_t kPiece = 4096;                     // elements of a sum that a thread takes at a time

bool is_on_cuda(Device device) {
  return device.kind == DeviceKind::kCuda;
}

template <typename Of>
void each_element(int64_t elements, const Of& of) {
#pragma omp parallel for schedule(static) if (elements > kWorthThreads)
  for (int64_t i = 0; i < elements; ++i) of(i);
}

void check_rows(Matrix<const float> x, Vector<const float> row, Matrix<float> out) {
  require(x.shape == out.shape, "the rows of a sum with a row keep their shape");
  require(row.shape[0] == x.shape[1], "the row of a sum with rows is [columns]");
}

}  // namespace

void add_row(Matrix<const float> x, Vector<const float> row, Matrix<float> out, Stream& stream) {
  check_rows(x, row, out);
  if (is_on_cuda(x.device)) return cuda::add_row(x, row, out, stream);
#pragma omp parallel for schedule(static) if (x.elements() > kWorthThreads)
  for (int64_t r = 0; r < x.shape[0]; ++r) {
    if (out.data != x.data) std::copy_n(x.row(r), x.shape[1], out.row(r));
    vector_ops().add(row.data, out.row(r), x.shape[1]);
  }
}

void subtract_row(Matrix<const float> x, Vector<const float> row, Matrix<float> out, Stream& stream) {
  check_rows(x, row, out);
  if (is_on_cuda(x.device)) return cuda::subtract_row(x, row, out, stream);
#pragma omp parallel for schedule(static) if (x.elements() > kWorthThreads)
  for (int64_t r = 0; r < x.shape[0]; ++r) {
    for (int64_t c = 0; c < x.shape[1]; ++c) out.row(r)[c] = x.row(r)[c] - row.data[c];
  }
}

void copy(Vector<const float> x, Vector<float> out, Stream& stream) {
  require(x.shape == out.shape, "a copy has the shape of what is copied");
  if (is_on_cuda(x.device)) return copy_in_order(out.data, x.data, x.bytes(), stream);
  each_element(x.elements(), [&](int64_t i) { out.data[i] = x.data[i]; });
}

void add(Vector<const float> x, Vector<float> into, Stream& stream) {
  require(x.shape == into.shape, "what is added has the shape of the sum");
  if (is_on_cuda(x.device)) return cuda::add(x, into, stream);
  const int64_t elements = x.elements();
#pragma omp parallel for schedule(static) if (elements > kWorthThreads)
  for (int64_t first = 0; first < elements; first += kPiece) {
    vector_ops().add(x.data + first, into.data + first, std::min(kPiece, elements - first));
  }
}

void subtract(Vector<const float> a, Vector<const float> b, Vector<float> out, Stream& stream) {
  require(a.shape == b.shape && a.shape == out.shape, "a difference has the shape of its operands");
  if (is_on_cuda(a.device)) return cuda::subtract(a, b, out, stream);
  each_element(a.elements(), [&](int64_t i) { out.data[i] = a.data[i] - b.data[i]; });
}

void scale(float factor, Vector<float> values, Stream& stream) {
  if (is_on_cuda(values.device)) return cuda::scale(factor, values, stream);
  each_element(values.elements(), [&](int64_t i) { values.data[i] *= factor; });
}

void divide(double divisor, Vector<double> values, Stream& stream) {
  if (is_on_cuda(values.device)) return cuda::divide(divisor, values, stream);
  each_element(values.elements(), [&](int64_t i) { values.data[i] /= divisor; });
}

void add_rounded(Vector<const double> x, bool accumulate, Vector<float> into, Stream& stream) {
  require(x.shape == into.shape, "what is added has the shape of the sum");
  if (is_on_cuda(x.device)) return cuda::add_rounded(x, accumulate, into, stream);
  each_element(x.elements(), [&](int64_t i) {
    into.data[i] = (accumulate ? into.data[i] : 0.0f) + static_cast<float>(x.data[i]);
  });
}

void widen(Vector<const float> x, Vector<double> out, Stream& stream) {
  require(x.shape == out.shape, "values keep their shape");
  if (is_on_cuda(x.device)) return cuda::widen(x, out, stream);
  each_element(x.elements(), [&](int64_t i) { out.data[i] = static_cast<double>(x.data[i]); });
}

}  // namespace orthant::kernels
