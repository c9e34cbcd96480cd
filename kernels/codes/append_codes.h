// Codes of a batch put together from those of its row blocks. Not Collective; thread-safe for distinct
// outputs.
#pragma once

#include "kernels/codes/codes.h"
#include "runtime/device/stream.h"

namespace orthant::kernels {

// Rows [first, first + from.rows()) of `into` become those of `from`; the rows before them are there already,
// and into.row_offsets[0] is 0. `into` has room for all entries.
void append_codes(CodesView from, int64_t first, CodesView into, Stream& stream);

}  // namespace orthant::kernels
