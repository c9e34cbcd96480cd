#include "sae/training/gradient_path.h"

#include "kernels/codes/decode.h"

namespace orthant::sae {

GradientPath::GradientPath(Memory& memory, ReplicaExchange& exchange, Share slice, int64_t own_entries,
                           int64_t held_entries)
    : exchange_(&exchange),
      first_latent_(slice.first),
      value_gradients_(memory, "codes", {own_entries}),
      order_(memory, slice.count, held_entries) {
  if (!exchange.codes_travel() || exchange.replicas().size() == 1) return;
  all_codes_ = kernels::Codes(memory, exchange.held_rows().count, held_entries);
  all_value_gradients_ = Tensor<float, 1>(memory, "codes", {held_entries});
}

void GradientPath::find_value_gradients(kernels::CodesView codes, Matrix<const float> decoder,
                                        Matrix<const float> gradient, Stream& stream) {
  kernels::value_gradients(codes, first_latent_, decoder, gradient, value_gradients_.view(), stream);
}

kernels::CodePath GradientPath::local(kernels::CodesView codes, Matrix<const float> gradient,
                                      Stream& stream) {
  kernels::sort_by_latent(codes, first_latent_, order_.view(), stream);
  return {codes, order_.view(), value_gradients_.view(), gradient};
}

kernels::CodePath GradientPath::held(kernels::CodesView codes, Matrix<const float> gradient, Stream& stream) {
  if (!exchange_->codes_travel()) return local(codes, gradient, stream);
  const auto gathered = exchange_->gather_codes(codes, value_gradients_.view(), all_codes_.view(),
                                                all_value_gradients_.view(), stream);
  kernels::sort_by_latent(gathered.codes, first_latent_, order_.view(), stream);
  return {gathered.codes, order_.view(), gathered.value_gradients, gradient};
}

}  // namespace orthant::sae
