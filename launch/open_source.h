// The activation source that a configuration names: a store, an array, a live model or a generator.
#pragma once

#include <memory>

#include "runtime/comm/world.h"
#include "runtime/core/log.h"
#include "runtime/job/activation_source.h"
#include "runtime/job/config.pb.h"

namespace orthant::launch {

// Throws Error(kConfig) unless exactly one of source.store, array, model and synthetic is given.
[[nodiscard]] std::unique_ptr<ActivationSource> open_source(const Source& config, uint64_t seed, World& world,
                                                            Memory& memory, Log& log);

}  // namespace orthant::launch
