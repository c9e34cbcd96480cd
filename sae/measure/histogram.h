// Counts of values in equal bins, for plots. Pure functions; thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace orthant::sae {

struct Histogram {
  std::vector<double> edges;  // [bins + 1], ascending
  std::vector<int64_t>
      counts;  // [bins]; bin i holds values in [edges[i], edges[i + 1]), the last its end too
};

// Values outside [low, high] count in the first or last bin; NaNs in none.
[[nodiscard]] Histogram histogram_of(std::span<const float> values, double low, double high, int bins);

// log10(density + 1e-10) from -10 to 0: latents that never fire stand in the first bin.
[[nodiscard]] Histogram log10_density_histogram(std::span<const float> densities);

}  // namespace orthant::sae
