// CUDA bodies of select_batch.h, called after its argument checks; without CUDA in the build they throw.
#pragma once

#include "kernels/codes/select_batch.h"

namespace orthant::kernels::cuda {

void count_bits(CodesView codes, BitField field, uint32_t known, const SelectionRoom& room,
                Vector<int64_t> histogram, Stream& stream);
void list_equal(CodesView codes, uint32_t bits, int64_t first_row, const SelectionRoom& room,
                std::span<int64_t> keys, Stream& stream);
void keep_from(CodesView codes, uint32_t bits, int64_t first_row, int64_t last_key, const SelectionRoom& room,
               Stream& stream);
[[nodiscard]] float smallest_value(CodesView codes, const SelectionRoom& room, Stream& stream);

}  // namespace orthant::kernels::cuda
