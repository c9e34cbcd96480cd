// Codes on a device and what they hold.
#pragma once

#include <vector>

#include "kernels/codes/codes.h"
#include "tests/device/device.h"

namespace orthant::testing {

// A copy of codes of the host, of the same capacity.
inline kernels::Codes codes_on(Memory& memory, kernels::CodesView host) {
  kernels::Codes codes(memory, host.rows(), host.capacity());
  const kernels::CodesView view = codes.view();
  copy_bytes(view.row_offsets.data, memory.device(), host.row_offsets.data, kCpu, host.row_offsets.bytes());
  copy_bytes(view.latents.data, memory.device(), host.latents.data, kCpu, host.entries() * 4);
  copy_bytes(view.values.data, memory.device(), host.values.data, kCpu, host.entries() * 4);
  return codes;
}

struct HostCodes {
  std::vector<int64_t> row_offsets;
  std::vector<int32_t> latents;
  std::vector<float> values;
  bool operator==(const HostCodes&) const = default;
};

// The entries that the offsets name.
inline HostCodes host_codes(kernels::CodesView codes) {
  HostCodes host{on_host(codes.row_offsets), on_host(codes.latents), on_host(codes.values)};
  const auto begin = host.row_offsets.front(), end = host.row_offsets.back();
  host.latents = {host.latents.begin() + begin, host.latents.begin() + end};
  host.values = {host.values.begin() + begin, host.values.begin() + end};
  return host;
}

}  // namespace orthant::testing
