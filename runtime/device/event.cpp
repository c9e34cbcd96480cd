#include "runtime/device/event.h"

#include <utility>

#include "runtime/core/error.h"
#include "runtime/device/cuda_streams.h"

namespace orthant {

Event::Event(Device device) : device_(device) {
  if (device.kind == DeviceKind::kCuda) native_ = cuda::create_event(device.index);
}

Event::~Event() {
  if (native_ != nullptr) cuda::destroy_event(native_);
}

Event::Event(Event&& other) noexcept
    : device_(other.device_), native_(std::exchange(other.native_, nullptr)) {}

Event& Event::operator=(Event&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(native_, other.native_);
  return *this;
}

void Event::record(Stream& stream) {
  require(stream.device() == device_, "an event is recorded in a stream of its device");
  if (native_ != nullptr) cuda::record_event(native_, stream.native());
}

void Event::hold(Stream& stream) {
  if (native_ == nullptr) return;
  if (stream.native() == nullptr) return synchronize();
  cuda::wait_on_stream(stream.native(), native_);
}

bool Event::is_done() const {
  return native_ == nullptr || cuda::is_event_done(native_);
}

void Event::synchronize() const {
  if (native_ != nullptr) cuda::synchronize_event(native_);
}

}  // namespace orthant
