// What tests of kernels share: arrays where the kernels run, with margins that nobody may write, and the skip
// where there is no device, a failure with ORTHANT_TEST_STRICT=1.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "kernels/codes/codes.h"
#include "runtime/device/buffer.h"
#include "runtime/device/tensor.h"
#include "tests/emulation/runs.h"
#include "tests/support/missing_device.h"
#include "tests/support/random_codes.h"

namespace orthant::testing {

// Values on the kernels' device. Those not given are NaN (or -1). `offset` elements after an address that is
// a multiple of 256 bytes.
template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(int64_t count, int64_t offset = 0) : count_(count), offset_(offset) {
    std::vector<std::byte> bytes(static_cast<size_t>(all_bytes()), std::byte{0x5a});
    std::fill_n(bytes.begin() + first_byte(), count * static_cast<int64_t>(sizeof(T)), std::byte{0xff});
    buffer_ = Buffer(kernel_device(), all_bytes());
    copy_bytes(buffer_.data(), kernel_device(), bytes.data(), kCpu, all_bytes());
  }
  explicit DeviceArray(std::span<const T> values, int64_t offset = 0)
      : DeviceArray(static_cast<int64_t>(values.size()), offset) {
    copy_bytes(data(), kernel_device(), values.data(), kCpu, count_ * static_cast<int64_t>(sizeof(T)));
  }
  [[nodiscard]] T* data() const { return reinterpret_cast<T*>(buffer_.data() + first_byte()); }
  [[nodiscard]] Vector<T> vector() const { return {data(), {count_}, kernel_device()}; }
  [[nodiscard]] Matrix<T> matrix(int64_t columns) const {
    return {data(), {columns == 0 ? 0 : count_ / columns, columns}, kernel_device()};
  }
  // On the host; a test fails here where a kernel wrote beside the array.
  [[nodiscard]] std::vector<T> values() const {
    std::vector<std::byte> bytes(static_cast<size_t>(all_bytes()));
    copy_bytes(bytes.data(), kCpu, buffer_.data(), kernel_device(), all_bytes());
    std::vector<T> result(static_cast<size_t>(count_));
    const auto first = bytes.begin() + first_byte(), last = first + count_ * static_cast<int64_t>(sizeof(T));
    if (count_ > 0) std::memcpy(result.data(), &*first, result.size() * sizeof(T));
    const auto is_margin = [](std::byte byte) { return byte == std::byte{0x5a}; };
    EXPECT_TRUE(std::all_of(bytes.begin(), first, is_margin)) << "written before the array";
    EXPECT_TRUE(std::all_of(last, bytes.end(), is_margin)) << "written after the array";
    return result;
  }

 private:
  static constexpr int64_t kMargin = 256;
  [[nodiscard]] int64_t first_byte() const { return kMargin + offset_ * static_cast<int64_t>(sizeof(T)); }
  [[nodiscard]] int64_t all_bytes() const {
    return first_byte() + count_ * static_cast<int64_t>(sizeof(T)) + kMargin;
  }
  int64_t count_;
  int64_t offset_;
  Buffer buffer_;
};

template <typename T, int Rank>
DeviceArray<T> on_device(const Tensor<T, Rank>& tensor, int64_t offset = 0) {
  return DeviceArray<T>(std::span<const T>(tensor.view().span()), offset);
}

// Codes of the host, and their copy.
struct DeviceCodes {
  explicit DeviceCodes(kernels::CodesView host)
      : row_offsets(std::span<const int64_t>(host.row_offsets.span())),
        latents(std::span<const int32_t>(host.latents.span())),
        values(std::span<const float>(host.values.span())) {}
  [[nodiscard]] kernels::CodesView view() const {
    return {row_offsets.vector(), latents.vector(), values.vector()};
  }
  DeviceArray<int64_t> row_offsets;
  DeviceArray<int32_t> latents;
  DeviceArray<float> values;
};

class KernelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = no_kernels_reason(); !reason.empty()) return skip_or_fail(reason);
    stream_ = Stream(kernel_device());
  }
  Stream stream_;
};

template <typename Parameter>
class KernelShapes : public KernelTest, public ::testing::WithParamInterface<Parameter> {};

inline constexpr double kHalfUnit = 6e-8;  // half a unit in the last place of f32

}  // namespace orthant::testing
