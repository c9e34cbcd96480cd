// The real NCCL on a host without a GPU: what can be asked of it, and how its refusal reaches the user.
#include "runtime/comm/nccl_api.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "runtime/comm/start_nccl.h"
#include "runtime/core/error.h"
#include "runtime/device/device.h"

namespace orthant::testing {
namespace {

TEST(NcclApi, TellsItsVersion) {
  int version = 0;
  ASSERT_EQ(nccl_api().get_version(version), NcclStatus::kSuccess);
  EXPECT_GE(version, kOldestNccl);
  EXPECT_TRUE(nccl_version_text(version).starts_with("2.")) << version;
}

TEST(NcclApi, MakesAnIdWithoutADevice) {
  ::setenv("NCCL_SOCKET_IFNAME", "lo", 0);
  NcclId id;
  ASSERT_EQ(nccl_api().get_unique_id(id), NcclStatus::kSuccess) << nccl_api().last_error(nullptr);
  EXPECT_TRUE(std::any_of(id.bytes.begin(), id.bytes.end(), [](char byte) { return byte != 0; }));
}

TEST(NcclApi, SaysWhatItsStatusMeans) {
  EXPECT_EQ(nccl_api().error_string(NcclStatus::kSuccess), "no error");
  EXPECT_EQ(nccl_api().error_string(NcclStatus::kInProgress), "NCCL operation in progress");
}

TEST(NcclApi, StartWithoutADeviceThrowsWithTheTextsOfNcclAndSixtyNine) {
  if (cuda_device_count() > 0) GTEST_SKIP() << "this host has a GPU";
  NcclApi api = nccl_api();
  api.set_device = [](int) {};  // CUDA would refuse before NCCL is asked
  Watchdog watchdog(0, {}, OnDeadline::kThrow);
  NcclRank own;
  own.api = &api;
  own.watchdog = &watchdog;
  NcclId id;
  ASSERT_EQ(api.get_unique_id(id), NcclStatus::kSuccess);
  try {
    const auto group = make_nccl_communicator(own, id, 0, 1);
    FAIL() << "there is no GPU";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kDevice) << error.what();
    const std::string text = error.what();
    EXPECT_NE(text.find("NCCL does not start among 1 ranks (unhandled cuda error"), std::string::npos)
        << text;
    EXPECT_NE(text.find("CUDA driver"), std::string::npos) << "the last error of NCCL: " << text;
  }
}

TEST(NcclApi, DeviceWithoutADriverIsRefusedByCuda) {
  if (cuda_device_count() > 0) GTEST_SKIP() << "this host has a GPU";
  try {
    nccl_api().set_device(0);
    FAIL() << "there is no GPU";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kDevice) << error.what();
  }
}

}  // namespace
}  // namespace orthant::testing
