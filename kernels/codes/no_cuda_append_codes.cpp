#include "kernels/codes/append_codes_cuda.h"
#include "kernels/dispatch.h"

namespace orthant::kernels::cuda {

void append_codes(CodesView, int64_t, CodesView into, Stream&) {
  throw_no_body("append_codes", into.values.device);
}

}  // namespace orthant::kernels::cuda
