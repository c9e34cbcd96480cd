// The hook point that activations come from. Not Collective.
#pragma once

#include <string>

#include "runtime/job/config.pb.h"

namespace orthant::launch {

// Of a live model or a store, of several stores each once, by comma; empty where the source does not say.
// Throws Error(kData) for a damaged store.
[[nodiscard]] std::string hook_of(const Source& source);

}  // namespace orthant::launch
