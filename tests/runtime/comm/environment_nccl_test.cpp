#include "runtime/comm/environment_nccl.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "runtime/core/error.h"

namespace orthant::testing {
namespace {

// The variables as they are when a test begins come back when it ends.
class NcclEnvironment : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : kNames) {
      const char* const text = std::getenv(name);
      before_.push_back(text == nullptr ? "" : text);
      ::unsetenv(name);
    }
  }
  void TearDown() override {
    for (size_t i = 0; i < kNames.size(); ++i) {
      ::unsetenv(kNames[i]);
      if (!before_[i].empty()) ::setenv(kNames[i], before_[i].c_str(), 1);
    }
  }
  static std::string value_of(const std::string& name) {
    for (const auto& [setting, value] : nccl_settings()) {
      if (setting == name) return value;
    }
    return "unset";
  }

 private:
  static inline const std::vector<const char*> kNames = {"NCCL_NVLS_ENABLE",   "NCCL_LAUNCH_ORDER_IMPLICIT",
                                                         "NCCL_SOCKET_IFNAME", "NCCL_HOSTID",
                                                         "NCCL_ALGO",          "ORTHANT_NCCL_SHARE_GPU"};
  std::vector<std::string> before_;
};

TEST_F(NcclEnvironment, TurnsNvlsOffUnlessTheUserDecided) {
  prepare_nccl_environment(0);
  EXPECT_EQ(value_of("NCCL_NVLS_ENABLE"), "0");
  ::setenv("NCCL_NVLS_ENABLE", "1", 1);
  prepare_nccl_environment(0);
  EXPECT_EQ(value_of("NCCL_NVLS_ENABLE"), "1");
}

TEST_F(NcclEnvironment, KnowsWhichVersionsLaunchInTheOrderOfTheCalls) {
  EXPECT_FALSE(launches_in_order_of_calls(0, "1"));
  EXPECT_FALSE(launches_in_order_of_calls(21903, "1"));
  EXPECT_FALSE(launches_in_order_of_calls(22505, ""));
  EXPECT_TRUE(launches_in_order_of_calls(22602, "1"));
  EXPECT_TRUE(launches_in_order_of_calls(22809, ""));
  EXPECT_FALSE(launches_in_order_of_calls(22809, "0"));
  ::setenv("NCCL_LAUNCH_ORDER_IMPLICIT", "0", 1);
  EXPECT_FALSE(launches_in_order_of_calls(22809));
  ::unsetenv("NCCL_LAUNCH_ORDER_IMPLICIT");
  EXPECT_TRUE(launches_in_order_of_calls(22809));
}

TEST_F(NcclEnvironment, OrdersCommunicatorsAsTheHostCallsThemUnlessTheUserDecided) {
  prepare_nccl_environment(0);
  EXPECT_EQ(value_of("NCCL_LAUNCH_ORDER_IMPLICIT"), "1");
  ::setenv("NCCL_LAUNCH_ORDER_IMPLICIT", "0", 1);
  prepare_nccl_environment(0);
  EXPECT_EQ(value_of("NCCL_LAUNCH_ORDER_IMPLICIT"), "0");
}

TEST_F(NcclEnvironment, RanksAreHostsOnlyWhereTheyShareAGpu) {
  prepare_nccl_environment(3);
  EXPECT_EQ(value_of("NCCL_HOSTID"), "unset");
  ::setenv("ORTHANT_NCCL_SHARE_GPU", "1", 1);
  prepare_nccl_environment(3);
  EXPECT_TRUE(value_of("NCCL_HOSTID").ends_with("-rank-3")) << value_of("NCCL_HOSTID");
}

TEST_F(NcclEnvironment, RecordsEverySettingByName) {
  ::setenv("NCCL_ALGO", "Ring", 1);
  prepare_nccl_environment(0);
  const auto settings = nccl_settings();
  EXPECT_TRUE(std::is_sorted(settings.begin(), settings.end()));
  EXPECT_EQ(value_of("NCCL_ALGO"), "Ring");
}

TEST_F(NcclEnvironment, RefusesAnInterfaceThatThereIsNot) {
  ::setenv("NCCL_SOCKET_IFNAME", "nosuch0", 1);
  try {
    prepare_nccl_environment(0);
    FAIL() << "there is no such interface";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
    EXPECT_NE(std::string(error.what())
                  .find("NCCL_SOCKET_IFNAME=nosuch0 names no network interface (this host has "),
              std::string::npos)
        << error.what();
  }
  ::setenv("NCCL_SOCKET_IFNAME", "lo", 1);
  EXPECT_NO_THROW(prepare_nccl_environment(0));
}

TEST(NcclInterfaces, AreNamedByPrefixWholeOrAllOthers) {
  const std::vector<std::string> present = {"lo", "eth0", "ib0"};
  EXPECT_TRUE(names_an_interface("eth", present));
  EXPECT_TRUE(names_an_interface("wlan,ib", present));
  EXPECT_FALSE(names_an_interface("wlan", present));
  EXPECT_TRUE(names_an_interface("=eth0", present));
  EXPECT_FALSE(names_an_interface("=eth", present));
  EXPECT_TRUE(names_an_interface("^lo,eth", present));
  EXPECT_FALSE(names_an_interface("^lo,eth,ib", present));
  EXPECT_TRUE(names_an_interface("^=eth", present));
}

}  // namespace
}  // namespace orthant::testing
