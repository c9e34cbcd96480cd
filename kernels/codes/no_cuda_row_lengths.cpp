#include "kernels/codes/row_lengths_cuda.h"
#include "kernels/dispatch.h"

namespace orthant::kernels::cuda {

void row_lengths(Vector<const int64_t>, Vector<int64_t> lengths, Stream&) {
  throw_no_body("row_lengths", lengths.device);
}

void lengths_to_offsets(Vector<int64_t> offsets, Stream&) {
  throw_no_body("lengths_to_offsets", offsets.device);
}

}  // namespace orthant::kernels::cuda
