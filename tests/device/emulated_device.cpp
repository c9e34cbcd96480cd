#include "tests/device/emulated_device.h"

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "runtime/core/error.h"
#include "runtime/device/cuda_devices.h"
#include "runtime/device/cuda_memory.h"
#include "runtime/device/cuda_streams.h"

namespace orthant::emulation {
namespace {

constexpr int64_t kRoom = int64_t{8} << 30;
constexpr int64_t kAlignment = 256;
// The kernel walks the pages whose access changes: few large ones, where it has them.
constexpr int64_t kPage = int64_t{2} << 20;

// The addresses of the device: free and given out.
class Room {
 public:
  static Room& instance() {
    static Room room;
    return room;
  }
  void* take(int64_t bytes) {
    const int64_t needed = (bytes + kAlignment) / kAlignment * kAlignment;
    const std::lock_guard lock(mutex_);
    const auto gap = first_gap(needed);
    used_[gap] = needed;
    in_use_ += needed;
    open();
    std::memset(base_ + gap, 0xff, static_cast<size_t>(needed));
    close();
    return base_ + gap;
  }
  void give_back(void* data) {
    const std::lock_guard lock(mutex_);
    const auto place = used_.find(static_cast<std::byte*>(data) - base_);
    require(place != used_.end(), "what is given back was given out");
    in_use_ -= place->second;
    used_.erase(place);
  }
  void begin_work() {
    const std::lock_guard lock(mutex_);
    open();
  }
  void end_work() {
    const std::lock_guard lock(mutex_);
    close();
  }
  [[nodiscard]] bool holds(const void* data) const {
    const auto* const at = static_cast<const std::byte*>(data);
    return at >= base_ && at < base_ + kRoom;
  }
  [[nodiscard]] int64_t in_use() {
    const std::lock_guard lock(mutex_);
    return in_use_;
  }

 private:
  Room() {
    void* const memory = mmap(nullptr, kRoom, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    require(memory != MAP_FAILED, "there are addresses for the memory of a device");
    base_ = static_cast<std::byte*>(memory);
  }
  [[nodiscard]] int64_t first_gap(int64_t bytes) const {
    int64_t end = 0;
    for (const auto& [first, size] : used_) {
      if (first - end >= bytes) return end;
      end = first + size;
    }
    require(end + bytes <= kRoom, "the memory of the device suffices");
    return end;
  }
  // Only what was ever given out.
  void protect(int access) {
    mprotect(base_, static_cast<size_t>((reach_ + kPage - 1) / kPage * kPage), access);
    is_open_ = access != PROT_NONE;
  }
  void open() {
    ++at_work_;
    const int64_t end = used_.empty() ? 0 : used_.rbegin()->first + used_.rbegin()->second;
    if (is_open_ && end <= reach_) return;
    reach_ = std::max(reach_, end);
    protect(PROT_READ | PROT_WRITE);
  }
  void close() {
    if (--at_work_ == 0 && is_watched(++works_)) protect(PROT_NONE);
  }
  // Closing and opening take longer than most kernels: after its first works the device is watched between
  // some of them only, which the steps of a program come to in turn.
  static bool is_watched(int64_t work) { return work < 300 || work % 7 == 0; }

  std::mutex mutex_;
  std::byte* base_ = nullptr;
  std::map<int64_t, int64_t> used_;  // first byte -> bytes
  int64_t in_use_ = 0;
  int64_t reach_ = 0;  // whole pages up to here can be open
  bool is_open_ = false;
  int at_work_ = 0;
  int64_t works_ = 0;
};

}  // namespace

DeviceWork::DeviceWork() {
  Room::instance().begin_work();
}
DeviceWork::~DeviceWork() {
  Room::instance().end_work();
}

bool is_device_memory(const void* data) {
  return Room::instance().holds(data);
}
int64_t device_bytes_in_use() {
  return Room::instance().in_use();
}

}  // namespace orthant::emulation

namespace orthant::cuda {
namespace {

// Streams and events hold nothing: all work is done.
void* a_handle() {
  static std::byte handle{};
  return &handle;
}

}  // namespace

void* allocate(int, int64_t bytes) {
  return emulation::Room::instance().take(bytes);
}
void release(int, void* data) noexcept {
  emulation::Room::instance().give_back(data);
}
void copy(int, void* into, const void* from, int64_t bytes) {
  const emulation::DeviceWork work;
  std::memmove(into, from, static_cast<size_t>(bytes));
}
void zero(int, void* into, int64_t bytes) {
  const emulation::DeviceWork work;
  std::memset(into, 0, static_cast<size_t>(bytes));
}
void* allocate_pinned(int, int64_t bytes) {
  return std::malloc(static_cast<size_t>(bytes));
}
void release_pinned(void* data) noexcept {
  std::free(data);
}

void* create_stream(int) {
  return a_handle();
}
void destroy_stream(void*) noexcept {}
void synchronize_stream(void*) {}
void copy_on_stream(void* into, const void* from, int64_t bytes, void*) {
  copy(0, into, from, bytes);
}
void* create_event(int) {
  return a_handle();
}
void destroy_event(void*) noexcept {}
void record_event(void*, void*) {}
void wait_on_stream(void*, void*) {}
bool is_event_done(void*) {
  return true;
}
void synchronize_event(void*) {}

int device_count() {
  return 1;
}
std::string no_device_reason() {
  return "there is one";
}
DeviceMemory memory_of(int) {
  const int64_t used = emulation::device_bytes_in_use();
  return {emulation::kRoom - used, emulation::kRoom};
}
std::string identity_of(int) {
  return "a device on fibers";
}
void require_supported(int) {}

}  // namespace orthant::cuda
