#include "runtime/device/device_rates.h"

#include <fmt/format.h>

#include <array>

#include "runtime/core/error.h"

namespace orthant {
namespace {

constexpr double kTera = 1e12;
constexpr double kGiga = 1e9;

struct StatedDevice {
  std::string_view name;
  double bf16_teraflops;    // dense
  double memory_gigabytes;  // per second
  double link_gigabytes;    // per second and direction
  int64_t capacity;
};

// Data sheets of NVIDIA: dense bf16, HBM bandwidth, half of the total NVLink bandwidth, capacity.
constexpr std::array<StatedDevice, 4> kDevices = {{{"a100", 312, 2039, 300, 80},
                                                   {"h100", 989, 3350, 450, 80},
                                                   {"h200", 989, 4800, 450, 141},
                                                   {"b200", 2250, 8000, 900, 180}}};

}  // namespace

DeviceRates stated_rates(std::string_view device) {
  for (const StatedDevice& known : kDevices) {
    if (known.name != device) continue;
    // 600 of 989 TFLOP/s, 3.0 of 3.35 TB/s and 400 of 450 GB/s are what good programs reach on an H100; one
    // 400 Gbit/s adapter a device.
    return {.kind = DeviceKind::kCuda,
            .flops = known.bf16_teraflops * kTera,
            .memory_bytes = known.memory_gigabytes * kGiga,
            .link_bytes = known.link_gigabytes * kGiga,
            .network_bytes = 50 * kGiga,
            .call_seconds = 30e-6,
            .capacity_bytes = known.capacity * static_cast<int64_t>(kGiga),
            .devices_per_host = 8,
            .value_bytes = 2,
            .flops_share = 0.6,
            .memory_share = 0.9,
            .link_share = 0.9};
  }
  throw Error(ExitCode::kConfig, {.problem = fmt::format("no figures are known of the device '{}'", device),
                                  .suggestion = "Use cpu, a100, h100, h200 or b200."});
}

DeviceRates host_rates(int ranks, double host_flops, int64_t available_bytes) {
  // Memory and messages of a usual server, in the absence of a measurement.
  constexpr double kHostMemory = 20 * kGiga;
  constexpr double kHostMessages = 4 * kGiga;
  return {.flops = host_flops / ranks,
          .memory_bytes = kHostMemory / ranks,
          .link_bytes = kHostMessages / ranks,
          .network_bytes = 1 * kGiga,
          .call_seconds = 20e-6,
          .capacity_bytes = available_bytes / ranks,
          .devices_per_host = ranks,
          .value_bytes = 4,
          .flops_share = 0.95,
          .memory_share = 1.0,
          .link_share = 1.0};
}

}  // namespace orthant
