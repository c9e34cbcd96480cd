// Paired rows of stores that were harvested from the same tokens. Not Collective.
#pragma once

#include "launch/diff/paired_rows.h"

namespace orthant::launch {

// Throws Error(kConfig) as open_paired_rows() does, Error(kData) for a damaged store.
[[nodiscard]] PairedRows store_pair(const PairedRowFields& fields, Memory& memory);

}  // namespace orthant::launch
