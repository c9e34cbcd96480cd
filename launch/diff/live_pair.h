// Paired rows that one forward of each language model over a text gives. Not Collective.
#pragma once

#include "launch/diff/paired_rows.h"

namespace orthant::launch {

// Throws Error(kConfig) as open_paired_rows() does.
[[nodiscard]] PairedRows live_pair(const PairedRowFields& fields, Memory& memory, Log& log);

}  // namespace orthant::launch
