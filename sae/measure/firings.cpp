#include "sae/measure/firings.h"

#include <algorithm>
#include <numeric>

namespace orthant::sae {

FiringCollector::FiringCollector(std::span<const int64_t> latents) : firings_(latents.size()) {
  for (size_t i = 0; i < latents.size(); ++i) place_[latents[i]] = i;
}

void FiringCollector::add(kernels::CodesView codes, int64_t first_row) {
  for (int64_t r = 0; r < codes.rows(); ++r) {
    for (int64_t e = codes.row_offsets.data[r]; e < codes.row_offsets.data[r + 1]; ++e) {
      const auto found = place_.find(codes.latents.data[e]);
      if (found == place_.end() || codes.values.data[e] <= 0.0f) continue;
      firings_[found->second].push_back({first_row + r, codes.values.data[e]});
    }
  }
}

Firings gather_firings(const Firings& own, Communicator& world, Stream& stream) {
  std::vector<int64_t> counts(static_cast<size_t>(world.size()));
  const auto count = static_cast<int64_t>(own.size());
  world.all_gather(&count, counts.data(), 1, Dtype::kI64, stream);
  const auto total = static_cast<size_t>(std::accumulate(counts.begin(), counts.end(), int64_t{0}));
  std::vector<int64_t> own_rows, rows(total);
  std::vector<float> own_values, values(total);
  for (const Firing& firing : own) {
    own_rows.push_back(firing.row);
    own_values.push_back(firing.value);
  }
  world.all_gather_uneven(own_rows.data(), rows.data(), counts, Dtype::kI64, stream);
  world.all_gather_uneven(own_values.data(), values.data(), counts, Dtype::kF32, stream);
  Firings all(total);
  for (size_t i = 0; i < total; ++i) all[i] = {rows[i], values[i]};
  std::sort(all.begin(), all.end(), [](const Firing& a, const Firing& b) { return a.row < b.row; });
  return all;
}

float value_at(const Firings& firings, int64_t row) {
  const auto found =
      std::lower_bound(firings.begin(), firings.end(), row,
                       [](const Firing& firing, int64_t wanted) { return firing.row < wanted; });
  return found != firings.end() && found->row == row ? found->value : 0.0f;
}

}  // namespace orthant::sae
