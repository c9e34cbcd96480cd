// CUDA bodies of select_rows.h, called after its argument checks; without CUDA in the build they throw.
#pragma once

#include "kernels/codes/select_rows.h"

namespace orthant::kernels::cuda {

void largest_ranks(const RankedCodes& ranked, Vector<const int64_t> rows, Matrix<float> sent, Stream& stream);
void find_cutoffs(const SentRanks& sent, int64_t k, int64_t shard, Vector<const int64_t> candidates,
                  Vector<const int64_t> rows, RowCutoffs cutoffs, Stream& stream);
void keep_ranked(const RankedCodes& ranked, RowCutoffs cutoffs, const SelectionRoom& room, Stream& stream);

}  // namespace orthant::kernels::cuda
