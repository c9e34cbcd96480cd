#include "kernels/dispatch.h"
#include "kernels/transformer/transformer_cuda.h"

namespace orthant::kernels::cuda {

void rms_norm(Matrix<const float> x, Vector<const float>, float, Matrix<float>, Stream&) {
  throw_no_body("rms_norm", x.device);
}

void rotate_heads(Matrix<float> x, Vector<const int32_t>, Matrix<const float>, Matrix<const float>, Stream&) {
  throw_no_body("rotate_heads", x.device);
}

void swiglu(Matrix<const float> gate, Matrix<const float>, Matrix<float>, Stream&) {
  throw_no_body("swiglu", gate.device);
}

void gather_rows(Matrix<const float> table, Vector<const int32_t>, Matrix<float>, Stream&) {
  throw_no_body("gather_rows", table.device);
}

void scatter_rows(Matrix<const float> from, Vector<const int32_t>, Matrix<float>, Stream&) {
  throw_no_body("scatter_rows", from.device);
}

void log_normalizers(Matrix<const float> logits, Vector<double>, Vector<int32_t>, Stream&) {
  throw_no_body("log_normalizers", logits.device);
}

void log_softmax_bf16(Matrix<float> logits, Vector<double>, Vector<int32_t>, Stream&) {
  throw_no_body("log_softmax_bf16", logits.device);
}

void logits_of(Matrix<const float> logits, Vector<const int32_t>, Vector<float>, Stream&) {
  throw_no_body("logits_of", logits.device);
}

void kl_divergence(Matrix<const float> p_logits, Vector<const double>, Matrix<const float>,
                   Vector<const double>, Vector<double>, Stream&) {
  throw_no_body("kl_divergence", p_logits.device);
}

void store_keys_values(const AttentionShape&, std::span<const AttentionSequence>, Matrix<const float> key,
                       Matrix<const float>, Stream&) {
  throw_no_body("store_keys_values", key.device);
}

void attention(const AttentionShape&, std::span<const AttentionSequence>, Matrix<const float> query,
               Matrix<float>, Stream&) {
  throw_no_body("attention", query.device);
}

}  // namespace orthant::kernels::cuda
