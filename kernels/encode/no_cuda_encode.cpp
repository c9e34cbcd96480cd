#include "kernels/dispatch.h"
#include "kernels/encode/encode_cuda.h"

namespace orthant::kernels::cuda {

void encode_topk(const EncodeArgs& args, const DenseWeights&, int64_t, const EncodeScratch&, CodesView,
                 Stream&) {
  throw_no_body("encode_topk", args.input.device);
}

int64_t encode_above(const EncodeArgs& args, const DenseWeights&, float, Vector<const float>,
                     const EncodeScratch&, CodesView, Stream&) {
  throw_no_body("encode_above", args.input.device);
}

}  // namespace orthant::kernels::cuda
