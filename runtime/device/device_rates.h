// What a rank's device can do, for plans: stated figures and the share of them that a good program reaches.
// Thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

#include "runtime/device/device.h"

namespace orthant {

// Of one rank. Rates are per second.
struct DeviceRates {
  DeviceKind kind = DeviceKind::kCpu;
  double flops = 0;          // dense products in the precision of the encoder, at their peak
  double memory_bytes = 0;   // of the device's memory
  double link_bytes = 0;     // sent by a rank within its host
  double network_bytes = 0;  // sent by a rank to another host
  double call_seconds = 0;   // of a collective, whatever its size
  int64_t capacity_bytes = 0;
  int devices_per_host = 0;  // ranks among which the link is
  int value_bytes = 4;       // of an operand: 2 where products are bf16
  // Reached of the peaks above.
  double flops_share = 1;
  double memory_share = 1;
  double link_share = 1;
};

// "a100" (SXM, 80 GB), "h100" (SXM), "h200", "b200": the vendor's dense bf16 and bandwidth figures. Throws
// Error(kConfig) for another name.
[[nodiscard]] DeviceRates stated_rates(std::string_view device);

// One of `ranks` CPU ranks of this host, which share its cores and memory. `host_flops`: measured peak of all
// cores (kernels/dense/peak.h).
[[nodiscard]] DeviceRates host_rates(int ranks, double host_flops, int64_t available_bytes);

}  // namespace orthant
