#include "models/adapt/crops.h"

#include <fmt/format.h>

#include <numeric>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/core/rng.h"

namespace orthant::models {

std::vector<int64_t> crop_starts(int64_t tokens, int64_t crops, int64_t length, uint64_t seed) {
  const int64_t places = tokens - length;
  if (places <= 0) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("crops of {} tokens", length),
                                    .why = fmt::format("the text has {} tokens", tokens),
                                    .suggestion = "use shorter crops or a longer text"});
  }
  std::vector<int64_t> starts;
  for (int64_t crop = 0; crop < crops; ++crop) {
    const uint64_t draw = random_u64(seed, Purpose::kCropStart, 0, static_cast<uint64_t>(crop));
    starts.push_back(static_cast<int64_t>(draw % static_cast<uint64_t>(places)));
  }
  return starts;
}

std::vector<int64_t> crop_order(int64_t count, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (size_t left = order.size(); left > 1; --left) {
    const uint64_t draw = random_u64(seed, Purpose::kCropOrder, static_cast<uint32_t>(epoch), left);
    std::swap(order[left - 1], order[draw % left]);
  }
  return order;
}

}  // namespace orthant::models
