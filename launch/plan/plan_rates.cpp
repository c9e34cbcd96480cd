#include "launch/plan/plan_rates.h"

#include <omp.h>

#include <algorithm>

#include "kernels/dense/peak.h"
#include "runtime/device/host_memory.h"

namespace orthant::launch {

boost::json::object PlanRates::json() const {
  return {{"origin", origin},
          {"threads", threads},
          {"flops", device.flops},
          {"flops_share", device.flops_share},
          {"memory_bytes_per_second", device.memory_bytes},
          {"memory_share", device.memory_share},
          {"link_bytes_per_second", device.link_bytes},
          {"link_share", device.link_share},
          {"network_bytes_per_second", device.network_bytes},
          {"capacity_bytes", device.capacity_bytes},
          {"devices_per_host", device.devices_per_host}};
}

PlanRates plan_rates(const std::string& device, int ranks, int threads) {
  const int cores = omp_get_num_procs();
  const int threads_of_rank = threads > 0 ? threads : std::max(1, cores / ranks);
  PlanRates rates{.device = {}, .origin = "stated", .threads = threads_of_rank};
  if (device == "cpu") {
    constexpr int kTimes = 4;  // threads start and hosts are busy
    omp_set_num_threads(static_cast<int>(std::min<int64_t>(cores, int64_t{threads_of_rank} * ranks)));
    double peak = 0.0;
    for (int i = 0; i < kTimes; ++i) peak = std::max(peak, 1e9 * kernels::peak_gflops());
    rates.device = host_rates(ranks, peak, available_host_bytes());
    rates.origin = "measured flops, usual bandwidths";
  } else {
    rates.device = stated_rates(device);
  }
  omp_set_num_threads(threads_of_rank);
  return rates;
}

}  // namespace orthant::launch
