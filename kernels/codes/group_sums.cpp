#include "kernels/codes/group_sums.h"

#include <omp.h>

#include <algorithm>
#include <bit>

#include "runtime/core/error.h"
#include "runtime/core/share.h"

namespace orthant::kernels {
namespace {

void count_rows(Vector<const uint64_t> masks, Vector<int64_t> rows) {
  for (const uint64_t mask : masks.span()) {
    for (uint64_t left = mask; left != 0; left &= left - 1) ++rows.data[std::countr_zero(left)];
  }
}

// The codes of one row that fall on latents [first, end), which are numbered from first_latent.
struct RowPart {
  const int32_t* latents;
  const float* values;
  int64_t count;
};

RowPart part_of_row(CodesView codes, int64_t row, int64_t first, int64_t end) {
  const int32_t* const latents = codes.latents.data;
  const int32_t* const row_begin = latents + codes.row_offsets.data[row];
  const int32_t* const row_end = latents + codes.row_offsets.data[row + 1];
  const int32_t* const begin = std::lower_bound(row_begin, row_end, first);
  const int32_t* const last = std::lower_bound(begin, row_end, end);
  return {begin, codes.values.data + (begin - latents), last - begin};
}

void add_part(const RowPart& part, uint64_t mask, int64_t first_latent, int64_t row, const GroupSums& into) {
  for (int64_t e = 0; e < part.count; ++e) {
    const float value = part.values[e];
    if (!(value > 0.0f)) continue;
    const int64_t latent = part.latents[e] - first_latent;
    double* const sums = into.values.row(latent);
    for (uint64_t left = mask; left != 0; left &= left - 1) sums[std::countr_zero(left)] += value;
    ++into.fired.data[latent];
    if (value > into.max.data[latent]) {
      into.max.data[latent] = value;
      into.max_row.data[latent] = row;
    }
  }
}

}  // namespace

void add_group_sums(CodesView codes, Vector<const uint64_t> masks, int64_t first_latent, int64_t first_row,
                    const GroupSums& into) {
  require(masks.shape[0] == codes.rows(), "every row of codes has a mask");
  require(into.rows.shape[0] <= kMostGroups, "the groups fit a mask");
  count_rows(masks, into.rows);
  const int64_t local_latents = into.fired.shape[0];
#pragma omp parallel
  {
    const Share mine = share_of(local_latents, omp_get_num_threads(), omp_get_thread_num());
    for (int64_t r = 0; r < codes.rows(); ++r) {
      const uint64_t mask = masks.data[r];
      if (mask == 0) continue;
      const RowPart part = part_of_row(codes, r, first_latent + mine.first, first_latent + mine.end());
      add_part(part, mask, first_latent, first_row + r, into);
    }
  }
}

}  // namespace orthant::kernels
