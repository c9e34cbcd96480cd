#include "sae/measure/histogram.h"

#include <algorithm>
#include <cmath>

#include "runtime/core/error.h"

namespace orthant::sae {

Histogram histogram_of(std::span<const float> values, double low, double high, int bins) {
  require(bins > 0 && low < high, "a histogram has a range and bins");
  Histogram histogram{std::vector<double>(static_cast<size_t>(bins) + 1),
                      std::vector<int64_t>(static_cast<size_t>(bins), 0)};
  const double width = (high - low) / bins;
  for (int i = 0; i <= bins; ++i) histogram.edges[static_cast<size_t>(i)] = low + width * i;
  for (const float value : values) {
    if (std::isnan(value)) continue;
    const double position = std::clamp((static_cast<double>(value) - low) / width, 0.0, bins - 1.0);
    ++histogram.counts[static_cast<size_t>(position)];
  }
  return histogram;
}

Histogram log10_density_histogram(std::span<const float> densities) {
  std::vector<float> logarithms;
  logarithms.reserve(densities.size());
  for (const float density : densities) {
    logarithms.push_back(static_cast<float>(std::log10(static_cast<double>(density) + 1e-10)));
  }
  return histogram_of(logarithms, -10.0, 0.0, 50);
}

}  // namespace orthant::sae
