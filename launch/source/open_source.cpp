#include "launch/source/open_source.h"

#include <fmt/format.h>

#include "models/transformer/live_source.h"
#include "runtime/core/error.h"
#include "runtime/storage/stored_source.h"
#include "sae/studies/synthetic_source.h"

namespace orthant::launch {

int sources_given(const Source& config) {
  return static_cast<int>(config.store_size() > 0) + static_cast<int>(config.has_array()) +
         static_cast<int>(config.has_model()) + static_cast<int>(config.has_synthetic());
}

uint64_t seed_of(const Source& config, uint64_t job_seed) {
  return config.has_seed() ? config.seed() : job_seed;
}

void refuse_undetermined_model(const Common& common, Device device) {
  if (!common.deterministic() || device.kind == DeviceKind::kCpu) return;
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("--deterministic cannot run a language model on {}", to_string(device)),
               .why = "the order of sums in the model's products there is the library's",
               .suggestion = "Read a store of `orthant harvest`, or use --device=cpu."});
}

void require_one_source(const Source& config) {
  const int given = sources_given(config);
  if (given == 1) return;
  throw Error(
      ExitCode::kConfig,
      {.problem = given == 0 ? "no activation source is given" : "several activation sources are given",
       .why = "a job reads exactly one",
       .suggestion = "Give one of --source.store, --source.array, --source.model (with --source.text and "
                     "--source.hook) or --source.synthetic.features."});
}

std::unique_ptr<ActivationSource> open_source(const Source& config, uint64_t job_seed, World&, Memory& memory,
                                              Memory& model_memory, Log& log, kernels::Precision precision) {
  require_one_source(config);
  const uint64_t seed = seed_of(config, job_seed);
  if (config.has_synthetic()) return std::make_unique<sae::SyntheticSource>(config.synthetic(), seed, memory);
  if (config.has_model()) return models::open_live_source(config, seed, memory, model_memory, log, precision);
  auto source = open_array_or_store(config, seed, memory);
  if (const NotFiniteRows rows = source->not_finite(); rows.count > 0) {
    log.warning("{}: {} rows hold values that are not finite and are left out, the first is row {}",
                path_of(config), rows.count, rows.first);
  }
  return source;
}

}  // namespace orthant::launch
