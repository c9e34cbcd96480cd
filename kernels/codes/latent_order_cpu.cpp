#include <omp.h>

#include <algorithm>

#include "kernels/codes/latent_step_cpu.h"
#include "kernels/isa/row_slice.h"

namespace orthant::kernels::cpu {
namespace {

struct LatentRange {
  int64_t first = 0;  // global
  int64_t last = 0;
};

// The latents of one thread: it alone counts and places their entries, so every order of threads gives one
// result.
LatentRange range_of_thread(int64_t first_latent, int64_t local_latents) {
  const int64_t threads = omp_get_num_threads(), thread = omp_get_thread_num();
  return {first_latent + local_latents * thread / threads,
          first_latent + local_latents * (thread + 1) / threads};
}

template <typename Visit>
void each_entry(const CodesView& codes, LatentRange range, Visit visit) {
  for (int64_t r = 0; r < codes.rows(); ++r) {
    const EntryRange entries = row_slice(codes, r, range.first, range.last);
    for (int64_t e = entries.first; e < entries.last; ++e) visit(codes.latents.data[e], r, e);
  }
}

// cursors[i + 1] holds the count of latent i; afterwards where its entries begin. Returns the number of all
// entries.
int64_t counts_to_starts(int64_t* offsets, int64_t local_latents) {
  int64_t total = 0;
  offsets[0] = 0;
  for (int64_t i = 0; i < local_latents; ++i) {
    const int64_t count = offsets[i + 1];
    offsets[i + 1] = total;
    total += count;
  }
  return total;
}

}  // namespace

void sort_by_latent(CodesView codes, int64_t first_latent, LatentOrderView order) {
  const int64_t local_latents = order.offsets.shape[0] - 1;
  // Latent i counts, then places, at cursors[i + 1]; having placed all, that is where latent i + 1 begins.
  int64_t* cursors = order.offsets.data + 1 - first_latent;
#pragma omp parallel
  {
    const LatentRange range = range_of_thread(first_latent, local_latents);
    std::fill(cursors + range.first, cursors + range.last, 0);
    each_entry(codes, range, [&](int32_t latent, int64_t, int64_t) { ++cursors[latent]; });
  }
  const int64_t total = counts_to_starts(order.offsets.data, local_latents);
  require(total <= order.rows.shape[0] && total <= order.entries.shape[0],
          "the order has room for the entries");
#pragma omp parallel
  {
    const LatentRange range = range_of_thread(first_latent, local_latents);
    each_entry(codes, range, [&](int32_t latent, int64_t row, int64_t entry) {
      const int64_t place = cursors[latent]++;
      order.rows.data[place] = static_cast<int32_t>(row);
      order.entries.data[place] = entry;
    });
  }
}

}  // namespace orthant::kernels::cpu
