#include "runtime/core/error.h"
#include "runtime/device/cuda_memory.h"

namespace orthant::cuda {
namespace {

[[noreturn]] void not_configured() {
  throw Error(ExitCode::kDevice, {.problem = "CUDA is not configured",
                                  .why = "this build has no CUDA part",
                                  .suggestion = "Use --device=cpu, or build on a host with the CUDA toolkit."});
}

}  // namespace

int device_count() { return 0; }
void* allocate(int, int64_t) { not_configured(); }
void release(int, void*) noexcept {}
void copy(void*, const void*, int64_t) { not_configured(); }
void zero(void*, int64_t) { not_configured(); }
void* create_stream(int) { not_configured(); }
void destroy_stream(void*) noexcept {}
void synchronize_stream(void*) { not_configured(); }

}  // namespace orthant::cuda
