#include "runtime/device/buffer.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/device/cuda_memory.h"
#include "runtime/device/host_memory.h"

namespace orthant {
namespace {

constexpr int64_t kHugePage = int64_t{2} << 20;

int64_t round_up(int64_t bytes, int64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

[[noreturn]] void refuse(int64_t bytes, const std::string& why) {
  throw Error(ExitCode::kConfig, {.problem = fmt::format("cannot allocate {} bytes of host memory", bytes),
                                  .why = why,
                                  .suggestion = "Use fewer latents, rows or tokens at a time, or spread the "
                                                "run over more hosts; see `orthant plan`."});
}

std::byte* allocate_host(int64_t bytes, int64_t& mapped_bytes) {
  const bool large = bytes >= kHugePage;
  if (const int64_t left = large ? available_host_bytes() : bytes; bytes > left) {
    // The operating system would promise it and end the process once it is used.
    refuse(bytes, fmt::format("the host has {} left", left));
  }
  mapped_bytes = round_up(bytes, large ? kHugePage : 64);
  void* data = std::aligned_alloc(large ? kHugePage : 64, static_cast<size_t>(mapped_bytes));
  if (data == nullptr) refuse(bytes, "the operating system refused");
  if (large) madvise(data, static_cast<size_t>(mapped_bytes), MADV_HUGEPAGE);
  return static_cast<std::byte*>(data);
}

}  // namespace

Buffer::Buffer(Device device, int64_t bytes) : bytes_(bytes), device_(device) {
  require(bytes >= 0, "a buffer has no negative size");
  if (bytes == 0) return;
  if (device.kind == DeviceKind::kCuda) {
    data_ = static_cast<std::byte*>(cuda::allocate(device.index, bytes));
    return;
  }
  data_ = allocate_host(bytes, mapped_bytes_);
}

Buffer Buffer::reserved(Device device, int64_t bytes) {
  Buffer buffer;
  buffer.bytes_ = bytes;
  buffer.device_ = device;
  buffer.is_reserved_ = true;
  if (bytes == 0) return buffer;
  void* const range = mmap(nullptr, static_cast<size_t>(bytes), PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  // More than there are addresses counts all the same.
  if (range != MAP_FAILED) buffer.data_ = static_cast<std::byte*>(range);
  return buffer;
}

Buffer::~Buffer() {
  release();
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      mapped_bytes_(std::exchange(other.mapped_bytes_, 0)),
      device_(other.device_),
      is_reserved_(std::exchange(other.is_reserved_, false)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
  std::swap(device_, other.device_);
  std::swap(is_reserved_, other.is_reserved_);
  return *this;
}

void Buffer::release() noexcept {
  if (data_ == nullptr) return;
  if (is_reserved_) {
    munmap(data_, static_cast<size_t>(bytes_));
  } else if (device_.kind == DeviceKind::kCuda) {
    cuda::release(device_.index, data_);
  } else {
    std::free(data_);
  }
  data_ = nullptr;
}

void Buffer::zero() {
  if (!is_reserved_) zero_bytes(data_, device_, bytes_);
}

void copy_bytes(void* into, Device into_device, const void* from, Device from_device, int64_t bytes) {
  if (bytes == 0) return;
  if (into_device.kind == DeviceKind::kCpu && from_device.kind == DeviceKind::kCpu) {
    std::memmove(into, from, static_cast<size_t>(bytes));
    return;
  }
  const Device device = into_device.kind == DeviceKind::kCuda ? into_device : from_device;
  cuda::copy(device.index, into, from, bytes);
}

void zero_bytes(void* into, Device device, int64_t bytes) {
  if (bytes == 0) return;
  if (device.kind == DeviceKind::kCpu) {
    std::memset(into, 0, static_cast<size_t>(bytes));
    return;
  }
  cuda::zero(device.index, into, bytes);
}

}  // namespace orthant
