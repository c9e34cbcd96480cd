// With the CUDA runtime itself: what it says without a driver, and what becomes of its errors.
#include "runtime/device/cuda_check.h"

#include <gtest/gtest.h>

#include "runtime/device/cuda_devices.h"
#include "tests/support/code_of.h"

namespace orthant::cuda {
namespace {

using ::orthant::testing::code_of;

TEST(CudaCheck, SuccessIsSilentAndFailureSaysWhatWhyAndWhatNext) {
  EXPECT_NO_THROW(check(cudaSuccess, "copying"));
  std::string message;
  EXPECT_EQ(code_of([] { check(cudaErrorInvalidValue, "copying 12 bytes"); }, &message), ExitCode::kDevice);
  for (const char* part :
       {"copying 12 bytes", "cudaErrorInvalidValue", "cuda_check_test.cpp", "--device=cpu"}) {
    EXPECT_NE(message.find(part), std::string::npos) << part << " in " << message;
  }
}

TEST(CudaCheck, LackOfMemoryIsAMatterOfConfiguration) {
  std::string message;
  EXPECT_EQ(code_of([] { check(cudaErrorMemoryAllocation, "allocating 8 bytes"); }, &message),
            ExitCode::kConfig);
  EXPECT_NE(message.find("orthant plan"), std::string::npos) << message;
}

TEST(CudaCheck, AWreckedContextPointsToTheKernelBefore) {
  std::string message;
  EXPECT_EQ(code_of([] { check(cudaErrorIllegalAddress, "waiting"); }, &message), ExitCode::kDevice);
  EXPECT_NE(message.find("compute-sanitizer"), std::string::npos) << message;
}

TEST(CudaCheck, TheThreadsErrorIsCleared) {
  if (device_count() == 0) GTEST_SKIP() << "needs a CUDA device: without a driver every call fails";
  void* data = nullptr;
  const cudaError_t status = cudaMemcpy(data, data, 1, static_cast<cudaMemcpyKind>(77));
  ASSERT_NE(status, cudaSuccess);
  EXPECT_EQ(code_of([&] { check(status, "copying"); }), ExitCode::kDevice);
  EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess);
}

TEST(CudaCheck, AbsenceIsToldFromTrouble) {
  EXPECT_NE(absence_reason(cudaErrorNoDevice, 13000, 13000).find("no device"), std::string::npos);
  EXPECT_NE(absence_reason(cudaErrorInsufficientDriver, 0, 13000).find("no NVIDIA driver"),
            std::string::npos);
  const std::string old = absence_reason(cudaErrorInsufficientDriver, 12020, 13000);
  EXPECT_NE(old.find("12.2"), std::string::npos) << old;
  EXPECT_NE(old.find("13.0"), std::string::npos) << old;
  EXPECT_EQ(absence_reason(cudaErrorSystemNotReady, 13000, 13000), "");
}

TEST(CudaCheck, ARuntimeWithoutDriverOrDeviceCountsNone) {
  int count = -1;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count > 0) GTEST_SKIP() << "this host has a CUDA device";
  EXPECT_TRUE(status == cudaErrorInsufficientDriver || status == cudaErrorNoDevice) << status;
  EXPECT_EQ(device_count(), 0);
  EXPECT_NE(no_device_reason(), "");
}

}  // namespace
}  // namespace orthant::cuda
