#include "kernels/transformer/rope.h"

#include "kernels/transformer/transformer_cuda.h"

namespace orthant::kernels {

void rotate_heads(Matrix<float> x, Vector<const int32_t> positions, Matrix<const float> cosines,
                  Matrix<const float> sines, Stream& stream) {
  const int64_t rows = x.shape[0];
  const int64_t half = cosines.shape[1];
  require(positions.shape[0] == rows && sines.shape == cosines.shape && x.shape[1] % (2 * half) == 0,
          "rope shapes agree");
  if (x.device.kind == DeviceKind::kCuda) return cuda::rotate_heads(x, positions, cosines, sines, stream);
#pragma omp parallel for schedule(static) if (rows * x.shape[1] > 65536)
  for (int64_t row = 0; row < rows; ++row) {
    const float* cosine = cosines.row(positions.data[row]);
    const float* sine = sines.row(positions.data[row]);
    for (float* head = x.row(row); head < x.row(row) + x.shape[1]; head += 2 * half) {
      for (int64_t i = 0; i < half; ++i) {
        const float a = head[i];
        const float b = head[i + half];
        head[i] = a * cosine[i] - b * sine[i];
        head[i + half] = b * cosine[i] + a * sine[i];
      }
    }
  }
}

}  // namespace orthant::kernels
