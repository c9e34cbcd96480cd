// What tests of whole programs on a device share: the device, copies to the host, and the skip where there is
// none.
#pragma once

#include <gtest/gtest.h>

#include <type_traits>
#include <vector>

#include "runtime/device/buffer.h"
#include "runtime/device/cuda_devices.h"
#include "runtime/device/device.h"
#include "runtime/device/tensor.h"
#include "tests/support/missing_device.h"

namespace orthant::testing {

inline Device device() {
  return {DeviceKind::kCuda, 0};
}

template <typename T, int Rank>
std::vector<std::remove_const_t<T>> on_host(View<T, Rank> view) {
  std::vector<std::remove_const_t<T>> values(static_cast<size_t>(view.elements()));
  copy_bytes(values.data(), kCpu, view.data, view.device, view.bytes());
  return values;
}

class DeviceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0) return skip_or_fail("no CUDA device: " + cuda::no_device_reason());
  }
};

}  // namespace orthant::testing
