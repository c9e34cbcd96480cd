// No kernel without a test on fibers.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace orthant {
namespace {

TEST(Coverage, EveryKernelFileHasATestHere) {
  const std::filesystem::path root(ORTHANT_SOURCE_DIR);
  int found = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / "kernels")) {
    const std::string name = entry.path().filename().string();
    constexpr std::string_view kEnding = "_cuda.cu";
    if (!name.ends_with(kEnding)) continue;
    ++found;
    const std::string op = name.substr(0, name.size() - kEnding.size());
    EXPECT_TRUE(std::filesystem::exists(root / "tests/emulation" / (op + "_test.cpp")))
        << name << " needs tests/emulation/" << op << "_test.cpp";
  }
  EXPECT_GT(found, 0);
}

}  // namespace
}  // namespace orthant
