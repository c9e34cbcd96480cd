#include "launch/program/version.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "kernels/isa/isa.h"
#include "launch/build.h"
#include "runtime/comm/mpi_version.h"
#include "runtime/device/device.h"

namespace orthant::launch {

std::string version() {
  return kVersion;
}

std::string git_hash() {
  return kGitHash;
}

std::string version_text() {
  std::vector<std::string_view> isas;
  for (const kernels::Isa isa : kernels::supported_isas()) isas.push_back(kernels::name_of(isa));
  return fmt::format(
      "orthant {}\ngit       {}\ncompiler  {}, {}\nMPI       {}\nCUDA      {} ({} usable here)\nNCCL      "
      "{}\n"
      "kernels   own, {} (of {}; ORTHANT_ISA chooses)\n",
      kVersion, kGitHash, kCompiler, kBuildType, mpi_version(), kCuda, cuda_device_count(), kNccl,
      kernels::name_of(kernels::active_isa()), fmt::join(isas, ", "));
}

}  // namespace orthant::launch
