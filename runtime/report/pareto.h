// The Pareto frontier of points of which one number should be small and the other large. Pure; thread-safe.
#pragma once

#include <span>
#include <vector>

namespace orthant {

// Places of the points that no other point beats: none has a cost as small and a gain as large, one of them
// strictly better. Ascending in cost; of equal points the first. Points that are not finite are on no
// frontier. costs and gains are equally long.
[[nodiscard]] std::vector<size_t> pareto_frontier(std::span<const double> costs,
                                                  std::span<const double> gains);

}  // namespace orthant
