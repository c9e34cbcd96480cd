#include "launch/version.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <dnnl.hpp>
#include <vector>

#include "kernels/isa.h"
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
  const dnnl_version_t* dnnl = dnnl_version();
  return fmt::format(
      "orthant {}\ngit       {}\ncompiler  {}, {}\nMPI       {}\nCUDA      {} ({} usable here)\nNCCL      "
      "{}\n"
      "GEMM      oneDNN {}.{}.{}\nkernels   {} (of {}; ORTHANT_ISA chooses)\n",
      kVersion, kGitHash, kCompiler, kBuildType, mpi_version(), kCuda, cuda_device_count(), kNccl,
      dnnl->major, dnnl->minor, dnnl->patch, kernels::name_of(kernels::active_isa()), fmt::join(isas, ", "));
}

}  // namespace orthant::launch
