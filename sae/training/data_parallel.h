// How replicas of a dictionary agree on an update, and what each way costs on the wire. Pure functions of
// shapes.
#pragma once

#include <cstdint>
#include <string_view>

namespace orthant::sae {

enum class DataParallel {
  kCodes,      // inputs, error rows and codes travel; every replica updates everything
  kGradients,  // ZeRO-1: gradients are reduce-scattered, the owner of a slice updates it, weights are
               // gathered
};

struct StepShape {
  int64_t batch_tokens = 0;
  int64_t d_model = 0;
  int64_t latents = 0;
  int64_t k = 0;
  int shards = 1;
  int replicas = 1;
};

// Bytes a rank receives in one step for replicas to agree. Codes: (B - B / D) * (8 d + 8 k / S + ...);
// gradients: (1 - 1 / D) * (8 d + 8 d) * m / S.
[[nodiscard]] int64_t codes_bytes(const StepShape& shape);
[[nodiscard]] int64_t gradient_bytes(const StepShape& shape);

// "codes", "gradients", or "auto": the cheaper one. With one replica: codes.
[[nodiscard]] DataParallel choose_data_parallel(std::string_view asked, const StepShape& shape);
[[nodiscard]] std::string_view name_of(DataParallel way);

}  // namespace orthant::sae
