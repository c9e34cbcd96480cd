// The paired stores that the verbs of diff read, in file order.
#pragma once

#include <memory>

#include "launch/program/verb.h"
#include "runtime/job/activation_source.h"
#include "runtime/job/config.pb.h"

namespace orthant::launch {

// Collective. The two stores of `config` as `combine` ("join", "difference") says, whatever it says itself.
// Rows are kept in `memory`. Throws Error(kConfig) unless there are two stores of the same tokens whose rows
// are `d_model` wide.
[[nodiscard]] std::unique_ptr<ActivationSource> open_pair(Invocation& invocation, Source config,
                                                          const char* combine, int64_t d_model,
                                                          Memory& memory);

// The held-out rows, or all where none are held out.
[[nodiscard]] Split measured_split(const ActivationSource& source);

}  // namespace orthant::launch
