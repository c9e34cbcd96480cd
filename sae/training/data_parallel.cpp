#include "sae/training/data_parallel.h"

namespace orthant::sae {

int64_t codes_bytes(const StepShape& s) {
  const int64_t remote_rows = s.batch_tokens - s.batch_tokens / s.replicas;
  // Input and error row, then latent, value and value gradient of each entry, its row length and squared
  // error.
  return remote_rows * (8 * s.d_model + 12 * s.k / s.shards + 16);
}

int64_t gradient_bytes(const StepShape& s) {
  const int64_t parameters = 2 * s.d_model * s.latents / s.shards;
  return 2 * 4 * (parameters - parameters / s.replicas);
}

DataParallel choose_data_parallel(std::string_view asked, const StepShape& shape) {
  if (asked == "gradients") return DataParallel::kGradients;
  if (asked == "codes" || shape.replicas == 1) return DataParallel::kCodes;
  return codes_bytes(shape) <= gradient_bytes(shape) ? DataParallel::kCodes : DataParallel::kGradients;
}

std::string_view name_of(DataParallel way) {
  return way == DataParallel::kCodes ? "codes" : "gradients";
}

}  // namespace orthant::sae
