#include "runtime/device/cuda_streams.h"
#include "runtime/device/no_cuda_error.h"

namespace orthant::cuda {

void* create_stream(int) {
  throw_not_configured();
}
void destroy_stream(void*) noexcept {}
void synchronize_stream(void*) {
  throw_not_configured();
}
void copy_on_stream(void*, const void*, int64_t, void*) {
  throw_not_configured();
}
void* create_event(int) {
  throw_not_configured();
}
void destroy_event(void*) noexcept {}
void record_event(void*, void*) {
  throw_not_configured();
}
void wait_on_stream(void*, void*) {
  throw_not_configured();
}
bool is_event_done(void*) {
  throw_not_configured();
}
void synchronize_event(void*) {
  throw_not_configured();
}

}  // namespace orthant::cuda
