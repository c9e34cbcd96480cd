// From row offsets to row lengths and back: what codes of several ranks are put together by. Not Collective;
// thread-safe for distinct outputs.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// lengths[r] = row_offsets[r + 1] - row_offsets[r]. `row_offsets` [rows + 1], `lengths` [rows].
void row_lengths(Vector<const int64_t> row_offsets, Vector<int64_t> lengths, Stream& stream);

// `offsets` [rows + 1] holds the length of row r at r + 1, and afterwards its end; offsets[0] becomes 0.
void lengths_to_offsets(Vector<int64_t> offsets, Stream& stream);

}  // namespace orthant::kernels
