#include "runtime/comm/device_choice.h"

#include <fmt/format.h>

#include <cstdlib>
#include <map>

#include "runtime/core/error.h"
#include "runtime/device/cuda_devices.h"

namespace orthant {
namespace {

constexpr std::string_view kCpuIdentity = "cpu";

bool may_share_devices() {
  const char* value = std::getenv("ORTHANT_NCCL_SHARE_GPU");
  return value != nullptr && std::string_view(value) == "1";
}

}  // namespace

Device choose_device(std::string_view name, int local_rank, ControlGroup& control) {
  if (name == kCpuIdentity) return kCpu;
  Device device;
  std::string identity(kCpuIdentity);
  agree(control, "choosing a device", [&] {
    device = device_from_name(name, local_rank);
    if (device.kind == DeviceKind::kCpu) return;
    cuda::require_supported(device.index);
    identity = cuda::identity_of(device.index);
  });
  refuse_shared_devices(control.gather_all(identity), may_share_devices());
  return device;
}

void refuse_shared_devices(const std::vector<std::string>& identities, bool may_share) {
  std::map<std::string, size_t> first_rank;
  for (size_t rank = 0; rank < identities.size(); ++rank) {
    if ((identities[rank] == kCpuIdentity) != (identities[0] == kCpuIdentity)) {
      throw Error(ExitCode::kDevice,
                  {.problem = fmt::format("ranks 0 and {} would compute on devices of two kinds", rank),
                   .why = "only one of them sees a CUDA device",
                   .suggestion = "Use --device=cpu, or hosts that all have devices."});
    }
    const auto [at, is_first] = first_rank.emplace(identities[rank], rank);
    if (is_first || may_share || identities[rank] == kCpuIdentity) continue;
    throw Error(ExitCode::kDevice,
                {.problem = fmt::format("ranks {} and {} would share a CUDA device", at->second, rank),
                 .why = "each rank needs its own",
                 .suggestion = "Start one rank for each device, or use --device=cpu."});
  }
}

}  // namespace orthant
