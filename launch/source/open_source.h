// The activation source that a configuration names: a store, an array, a live model or a generator.
#pragma once

#include <memory>

#include "kernels/dense/precision.h"
#include "runtime/comm/world.h"
#include "runtime/core/log.h"
#include "runtime/job/activation_source.h"
#include "runtime/job/config.pb.h"

namespace orthant::launch {

// How many of source.store, array, model and synthetic are given.
[[nodiscard]] int sources_given(const Source& config);
// Throws Error(kConfig) unless it is one.
void require_one_source(const Source& config);

// The seed of the order of its rows: its own, or the job's where it has none.
[[nodiscard]] uint64_t seed_of(const Source& config, uint64_t job_seed);

// Throws Error(kConfig) for a deterministic job that would run a language model on a device: the sums in its
// products there are in the order of a library.
void refuse_undetermined_model(const Common& common, Device device);

// Rows are kept in `memory`, on the host; a live model runs in `model_memory`, which may be a device's.
// `precision` is that of a live model's forward; activations that are stored stay as they are. Throws
// Error(kConfig) unless exactly one of source.store, array, model and synthetic is given.
[[nodiscard]] std::unique_ptr<ActivationSource> open_source(
    const Source& config, uint64_t job_seed, World& world, Memory& memory, Memory& model_memory, Log& log,
    kernels::Precision precision = kernels::Precision::kF32);

}  // namespace orthant::launch
