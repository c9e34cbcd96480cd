// The steps of a selection among all values of codes, by the bits of the values: those of positive floats
// rank like the floats, those of a NaN above infinity. Signs are not looked at.
//
// The values and the scratch are on one device. Not Collective; not thread-safe.
#pragma once

#include <span>

#include "kernels/codes/codes.h"
#include "kernels/codes/selection_scratch.h"
#include "runtime/device/stream.h"

namespace orthant::kernels {

// Bits [shift, shift + width) of a value.
struct BitField {
  int shift;
  int width;
  [[nodiscard]] int64_t bins() const { return int64_t{1} << width; }
};

// histogram[b] = entries whose bits are b in the field and those of `known` above it; 0 beyond its bins,
// which are at most SelectionScratch::kMostBins.
void count_bits(CodesView codes, BitField field, uint32_t known, SelectionScratch& scratch,
                Vector<int64_t> histogram, Stream& stream);

// The number of an entry in a batch.
[[nodiscard]] constexpr int64_t entry_key(int64_t row_of_batch, int32_t latent) {
  return row_of_batch << 32 | latent;
}

// The keys of all entries with these bits in keys, ascending; there are keys.size() of them. Row 0 is
// `first_row` of the batch. Waits for the stream.
void list_equal(CodesView codes, uint32_t bits, int64_t first_row, SelectionScratch& scratch,
                std::span<int64_t> keys, Stream& stream);

// Leaves, in order, the entries with larger bits than `bits`, and of those equal to it the ones whose key is
// at most last_key.
void keep_from(CodesView codes, uint32_t bits, int64_t first_row, int64_t last_key, SelectionScratch& scratch,
               Stream& stream);

// The smallest value that is no NaN; infinity where there is none. Waits for the stream.
[[nodiscard]] float smallest_value(CodesView codes, SelectionScratch& scratch, Stream& stream);

}  // namespace orthant::kernels
