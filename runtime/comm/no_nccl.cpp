#include "runtime/comm/nccl_api.h"
#include "runtime/core/error.h"

namespace orthant {

NcclApi nccl_api(ReduceOnDevice) {
  throw Error(ExitCode::kDevice,
              {.problem = "NCCL is not configured",
               .why = "this build has no NCCL part, so ranks cannot be GPUs",
               .suggestion = "Use one process or --device=cpu, or build on a host with NCCL."});
}

}  // namespace orthant
