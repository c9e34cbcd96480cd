#include "kernels/codes/select_rows_cuda.h"
#include "kernels/dispatch.h"

namespace orthant::kernels::cuda {

void largest_ranks(const RankedCodes&, Vector<const int64_t>, Matrix<float> sent, Stream&) {
  throw_no_body("largest_ranks", sent.device);
}

void find_cutoffs(const SentRanks& sent, int64_t, int64_t, Vector<const int64_t>, Vector<const int64_t>,
                  RowCutoffs, Stream&) {
  throw_no_body("find_cutoffs", sent.ranks.device);
}

void keep_ranked(const RankedCodes& ranked, RowCutoffs, const SelectionRoom&, Stream&) {
  throw_no_body("keep_ranked", ranked.codes.values.device);
}

}  // namespace orthant::kernels::cuda
