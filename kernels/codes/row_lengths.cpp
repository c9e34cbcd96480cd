#include "kernels/codes/row_lengths.h"

#include "kernels/codes/row_lengths_cuda.h"

namespace orthant::kernels {

void row_lengths(Vector<const int64_t> row_offsets, Vector<int64_t> lengths, Stream& stream) {
  require(row_offsets.shape[0] == lengths.shape[0] + 1, "row offsets are one more than lengths");
  if (lengths.device.kind == DeviceKind::kCuda) return cuda::row_lengths(row_offsets, lengths, stream);
  for (int64_t r = 0; r < lengths.shape[0]; ++r) {
    lengths.data[r] = row_offsets.data[r + 1] - row_offsets.data[r];
  }
}

void lengths_to_offsets(Vector<int64_t> offsets, Stream& stream) {
  require(offsets.shape[0] >= 1, "codes have row offsets");
  if (offsets.device.kind == DeviceKind::kCuda) return cuda::lengths_to_offsets(offsets, stream);
  offsets.data[0] = 0;
  for (int64_t r = 1; r < offsets.shape[0]; ++r) offsets.data[r] += offsets.data[r - 1];
}

}  // namespace orthant::kernels
