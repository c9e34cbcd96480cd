#include "runtime/device/cuda_memory.h"
#include "runtime/device/no_cuda_error.h"

namespace orthant::cuda {

void* allocate(int, int64_t) {
  throw_not_configured();
}
void release(int, void*) noexcept {}
void copy(int, void*, const void*, int64_t) {
  throw_not_configured();
}
void zero(int, void*, int64_t) {
  throw_not_configured();
}
void* allocate_pinned(int, int64_t) {
  throw_not_configured();
}
void release_pinned(void*) noexcept {}

}  // namespace orthant::cuda
