// What the program says of --device, on hosts with and without devices.
#include "runtime/device/device.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/program.h"
#include "tests/support/small_train_command.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using testing::ended;
using testing::Outcome;
using testing::refused;
using testing::run_orthant;

TEST(DeviceFlag, CudaWithoutADeviceEndsWith69OnEveryRank) {
  const testing::TempDir folder;
  const std::string command = testing::small_train_command(folder.file("run"), "--device=cuda");
  const std::string problem =
      cuda_device_count() == 0 ? "no CUDA device is usable" : "cannot compute on CUDA";
  EXPECT_TRUE(refused(run_orthant(command), 69, problem, "--device=cpu"));
  EXPECT_TRUE(refused(run_orthant(command, "mpirun -n 2"), 69, "CUDA", "--device=cpu"));
}

TEST(DeviceFlag, AutoWorksEverywhere) {
  const testing::TempDir folder;
  EXPECT_TRUE(ended(run_orthant(testing::small_train_command(folder.file("run"), "--device=auto")), 0));
}

}  // namespace
}  // namespace orthant
