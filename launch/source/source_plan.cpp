#include "launch/source/source_plan.h"

#include "launch/source/open_source.h"
#include "models/transformer/live_source.h"
#include "runtime/storage/stored_source.h"
#include "sae/studies/synthetic_source.h"

namespace orthant::launch {

int64_t count_source(const Source& config, uint64_t seed, kernels::Precision precision,
                     int64_t assumed_d_model, Memory& memory, Memory& model_memory) {
  if (assumed_d_model > 0 && sources_given(config) == 0) return assumed_d_model;
  require_one_source(config);
  if (config.has_synthetic()) return sae::SyntheticSource(config.synthetic(), seed, memory).d_model();
  if (config.has_model()) return models::count_live_source(config, memory, model_memory, precision);
  return count_array_or_store(config, memory);
}

}  // namespace orthant::launch
