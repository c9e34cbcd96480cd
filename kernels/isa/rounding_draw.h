// The draws of stochastic rounding to bf16: 16 random bits for each column of a row, from the key of the row.
// They are added below the 16 bits that are kept, so that a number is rounded up as often as it lies near the
// upper neighbour and the mean over draws is the number itself. Only types and constants, for files of any
// instruction set: the mix is rounding_draw of scalar.h and, in lanes with the same bits, rounded_at_random
// of lanes.h.
#pragma once

#include <stdint.h>

namespace orthant::kernels {

struct RoundingKey {
  uint32_t first, second;
};

// Odd, so that columns keep apart; the multipliers are of Wellons' lowbias32.
constexpr uint32_t kRoundingColumn = 0x9E3779B9u, kRoundingFirst = 0x7FEB352Du, kRoundingSecond = 0x846CA68Bu;

}  // namespace orthant::kernels
