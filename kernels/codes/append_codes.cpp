#include "kernels/codes/append_codes.h"

#include <algorithm>

#include "kernels/codes/append_codes_cuda.h"
#include "runtime/core/error.h"

namespace orthant::kernels {

void append_codes(CodesView from, int64_t first, CodesView into, Stream& stream) {
  require(first + from.rows() <= into.rows(), "the rows are rows of the batch");
  if (into.values.device.kind == DeviceKind::kCuda) return cuda::append_codes(from, first, into, stream);
  if (first == 0) into.row_offsets.data[0] = 0;
  const int64_t begin = from.row_offsets.data[0], base = into.row_offsets.data[first];
  const int64_t entries = from.entries() - begin;
  require(base + entries <= into.capacity(), "the codes fit the batch's");
  for (int64_t r = 1; r <= from.rows(); ++r) {
    into.row_offsets.data[first + r] = base + from.row_offsets.data[r] - begin;
  }
  std::copy_n(from.latents.data + begin, entries, into.latents.data + base);
  std::copy_n(from.values.data + begin, entries, into.values.data + base);
}

}  // namespace orthant::kernels
