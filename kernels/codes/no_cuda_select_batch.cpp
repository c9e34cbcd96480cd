#include "kernels/codes/select_batch_cuda.h"
#include "kernels/dispatch.h"

namespace orthant::kernels::cuda {

void count_bits(CodesView codes, BitField, uint32_t, const SelectionRoom&, Vector<int64_t>, Stream&) {
  throw_no_body("count_bits", codes.values.device);
}

void list_equal(CodesView codes, uint32_t, int64_t, const SelectionRoom&, std::span<int64_t>, Stream&) {
  throw_no_body("list_equal", codes.values.device);
}

void keep_from(CodesView codes, uint32_t, int64_t, int64_t, const SelectionRoom&, Stream&) {
  throw_no_body("keep_from", codes.values.device);
}

float smallest_value(CodesView codes, const SelectionRoom&, Stream&) {
  throw_no_body("smallest_value", codes.values.device);
}

}  // namespace orthant::kernels::cuda
