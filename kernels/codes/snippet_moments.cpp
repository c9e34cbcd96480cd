#include "kernels/codes/snippet_moments.h"

#include <omp.h>

#include <algorithm>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/share.h"

namespace orthant::kernels {
namespace {

// Adds what the latents that fired in a snippet had at most, and clears it.
void close_snippet(std::vector<int32_t>& fired, int32_t group, const SnippetMoments& into) {
  for (const int32_t latent : fired) {
    float& largest = into.largest.data[latent];
    const double value = largest;
    into.sums.row(latent)[group] += value;
    into.squares.row(latent)[group] += value * value;
    largest = 0.0f;
  }
  fired.clear();
}

// The codes of one row that fall on latents [first, end), numbered from first_latent.
void raise_largest(CodesView codes, int64_t row, Share latents, int64_t first_latent,
                   std::vector<int32_t>& fired, const SnippetMoments& into) {
  const int32_t* const all = codes.latents.data;
  const int32_t* const row_end = all + codes.row_offsets.data[row + 1];
  const int64_t end = first_latent + latents.end();
  for (const int32_t* at =
           std::lower_bound(all + codes.row_offsets.data[row], row_end, first_latent + latents.first);
       at != row_end && *at < end; ++at) {
    const float value = codes.values.data[at - all];
    if (!(value > 0.0f)) continue;
    const auto latent = static_cast<int32_t>(*at - first_latent);
    float& largest = into.largest.data[latent];
    if (largest == 0.0f) fired.push_back(latent);
    largest = std::max(largest, value);
  }
}

}  // namespace

void add_snippet_moments(CodesView codes, std::span<const int32_t> snippet_of_row,
                         std::span<const int32_t> group_of_snippet, int64_t first_latent,
                         const SnippetMoments& into) {
  require(static_cast<int64_t>(snippet_of_row.size()) == codes.rows(),
          "every row of codes has a snippet or -1");
  for (const int32_t group : group_of_snippet) ++into.snippets.data[group];
#pragma omp parallel
  {
    const Share mine = share_of(into.largest.shape[0], omp_get_num_threads(), omp_get_thread_num());
    std::vector<int32_t> fired;
    int32_t open = -1;
    for (int64_t r = 0; r < codes.rows(); ++r) {
      const int32_t snippet = snippet_of_row[static_cast<size_t>(r)];
      if (snippet < 0) continue;
      if (snippet != open && open >= 0) {
        close_snippet(fired, group_of_snippet[static_cast<size_t>(open)], into);
      }
      open = snippet;
      raise_largest(codes, r, mine, first_latent, fired, into);
    }
    if (open >= 0) close_snippet(fired, group_of_snippet[static_cast<size_t>(open)], into);
  }
}

}  // namespace orthant::kernels
