#include "runtime/device/device.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "runtime/device/buffer.h"
#include "runtime/device/cuda_devices.h"
#include "runtime/device/event.h"
#include "runtime/device/pinned_buffer.h"
#include "tests/support/code_of.h"

namespace orthant {
namespace {

using ::orthant::testing::code_of;

constexpr Device kCuda{DeviceKind::kCuda, 0};

TEST(Device, RanksGetDevicesOfTheirOwn) {
  EXPECT_EQ(cuda_device_of(0, 4), kCuda);
  EXPECT_EQ(cuda_device_of(3, 4), (Device{DeviceKind::kCuda, 3}));
  EXPECT_EQ(cuda_device_of(5, 1), kCuda) << "a job system shows each rank one device";
  std::string message;
  EXPECT_EQ(code_of([] { (void)cuda_device_of(4, 4); }, &message), ExitCode::kDevice);
  EXPECT_NE(message.find("rank 4"), std::string::npos) << message;
  EXPECT_NE(message.find("at most 4 ranks"), std::string::npos) << message;
}

TEST(Device, UnknownNamesAreRefused) {
  EXPECT_EQ(code_of([] { (void)device_from_name("tpu", 0); }), ExitCode::kConfig);
  EXPECT_EQ(device_from_name("cpu", 7), kCpu);
}

TEST(Device, TheHostHasRoom) {
  EXPECT_GT(available_bytes(kCpu), 0);
}

class WithoutDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    if (cuda_device_count() > 0) GTEST_SKIP() << "this host has a CUDA device";
  }
};

TEST_F(WithoutDevice, AutoIsTheCpuAndCudaSaysWhyNot) {
  EXPECT_EQ(device_from_name("auto", 0), kCpu);
  std::string message;
  EXPECT_EQ(code_of([] { (void)device_from_name("cuda", 0); }, &message), ExitCode::kDevice);
  EXPECT_FALSE(cuda::no_device_reason().empty());
  EXPECT_NE(message.find(cuda::no_device_reason()), std::string::npos) << message;
}

TEST_F(WithoutDevice, EverythingOnADeviceIsRefused) {
  float value = 0;
  EXPECT_EQ(code_of([] { const Buffer buffer(kCuda, 16); }), ExitCode::kDevice);
  EXPECT_EQ(code_of([] { const PinnedBuffer buffer(kCuda, 16); }), ExitCode::kDevice);
  EXPECT_EQ(code_of([] { const Stream stream(kCuda); }), ExitCode::kDevice);
  EXPECT_EQ(code_of([] { const Event event(kCuda); }), ExitCode::kDevice);
  EXPECT_EQ(code_of([] { (void)available_bytes(kCuda); }), ExitCode::kDevice);
  EXPECT_EQ(code_of([&] { copy_bytes(&value, kCuda, &value, kCpu, 4); }), ExitCode::kDevice);
  EXPECT_EQ(code_of([&] { zero_bytes(&value, kCuda, 4); }), ExitCode::kDevice);
  EXPECT_EQ(code_of([] { (void)cuda::identity_of(0); }), ExitCode::kDevice);
}

TEST_F(WithoutDevice, NothingIsAllocatedForAPlan) {
  const Buffer reserved = Buffer::reserved(kCuda, int64_t{1} << 40);
  EXPECT_EQ(reserved.device(), kCuda);
  const Buffer empty(kCuda, 0);
  EXPECT_EQ(empty.data(), nullptr);
}

// On the CPU here, and on the device where there is one.
class StreamOrder : public ::testing::TestWithParam<DeviceKind> {
 protected:
  void SetUp() override {
    if (GetParam() == DeviceKind::kCuda && cuda_device_count() == 0) {
      GTEST_SKIP() << "no CUDA device: " << cuda::no_device_reason();
    }
  }
  Device device_{GetParam(), 0};
};

TEST_P(StreamOrder, RowsTravelThroughPinnedMemory) {
  constexpr int64_t kCount = 1000;
  Stream there(device_), back(device_);
  PinnedBuffer from(device_, kCount * 4), to(device_, kCount * 4);
  const Buffer on_device(device_, kCount * 4);
  for (int i = 0; i < kCount; ++i) std::memcpy(from.data() + i * 4, &i, 4);
  std::memset(to.data(), 0xff, kCount * 4);
  Event arrived(device_), returned(device_);
  EXPECT_TRUE(arrived.is_done());
  copy_in_order(on_device.data(), from.data(), kCount * 4, there);
  arrived.record(there);
  arrived.hold(back);
  copy_in_order(to.data(), on_device.data(), kCount * 4, back);
  returned.record(back);
  returned.synchronize();
  EXPECT_TRUE(returned.is_done());
  EXPECT_TRUE(arrived.is_done());
  EXPECT_EQ(std::memcmp(from.data(), to.data(), kCount * 4), 0);
}

TEST_P(StreamOrder, BuffersAreZeroedAndCopied) {
  std::vector<float> values(77, 3.0f);
  Buffer buffer(device_, 77 * 4);
  copy_bytes(buffer.data(), device_, values.data(), kCpu, 77 * 4);
  values.assign(77, 0.0f);
  copy_bytes(values.data(), kCpu, buffer.data(), device_, 77 * 4);
  EXPECT_EQ(values[76], 3.0f);
  buffer.zero();
  copy_bytes(values.data(), kCpu, buffer.data(), device_, 77 * 4);
  EXPECT_EQ(values, std::vector<float>(77, 0.0f));
}

TEST_P(StreamOrder, MoreThanTheDeviceHasIsRefusedWithBothNumbers) {
  const int64_t bytes = available_bytes(device_) + (int64_t{64} << 30);
  std::string message;
  EXPECT_EQ(code_of([&] { const Buffer buffer(device_, bytes); }, &message), ExitCode::kConfig);
  EXPECT_NE(message.find(std::to_string(bytes)), std::string::npos) << message;
  EXPECT_NE(message.find("left"), std::string::npos) << message;
}

TEST_P(StreamOrder, BuffersAndEventsMove) {
  PinnedBuffer first(device_, 8);
  std::byte* const at = first.data();
  PinnedBuffer second = std::move(first);
  EXPECT_EQ(second.data(), at);
  EXPECT_EQ(first.data(), nullptr);
  first = std::move(second);
  EXPECT_EQ(first.data(), at);
  Event event(device_);
  const void* const native = event.native();
  const Event moved = std::move(event);
  EXPECT_EQ(moved.native(), native);
}

INSTANTIATE_TEST_SUITE_P(Devices, StreamOrder, ::testing::Values(DeviceKind::kCpu, DeviceKind::kCuda),
                         [](const auto& name) { return name.param == DeviceKind::kCpu ? "cpu" : "cuda"; });

}  // namespace
}  // namespace orthant
