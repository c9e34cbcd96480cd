#include "models/sparsity/method.h"

#include <gtest/gtest.h>

#include "models/sparsity/pattern.h"
#include "tests/support/code_of.h"

namespace orthant::models {
namespace {

using testing::code_of;

TEST(Pattern, ReadsWhatItWrites) {
  for (const char* name : {"dense", "2:4", "8:16", "1:1", "0:4", "50%", "70%", "12.5%", "55%", "7%"})
    EXPECT_EQ(to_string(parse_pattern(name)), name);
}

TEST(Pattern, RefusesWhatCannotBe) {
  for (const char* name :
       {"", "5:4", "-1:4", "2:0", "2:", ":4", "a:b", "8:16x", "50", "101%", "-1%", "%", "sparse"}) {
    std::string message;
    EXPECT_EQ(code_of([&] { (void)parse_pattern(name); }, &message), ExitCode::kConfig) << name;
    EXPECT_NE(message.find("8:16"), std::string::npos) << message;
  }
}

// activation_sparsity 2: int() of an f64 product.
TEST(Pattern, KeepsOfARowWhatPythonKeeps) {
  const auto kept = [](const char* name, int64_t inputs) {
    return row_pattern(parse_pattern(name), inputs, "").keep;
  };
  const int64_t of_4096[] = {3276, 2048, 1228, 409}, of_14336[] = {11468, 7168, 4300, 1433};
  const char* names[] = {"20%", "50%", "70%", "90%"};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(kept(names[i], 4096), of_4096[i]) << names[i];
    EXPECT_EQ(kept(names[i], 14336), of_14336[i]) << names[i];
  }
  EXPECT_EQ(kept("70%", 576), 172);
  EXPECT_EQ(kept("70%", 1536), 460);
}

TEST(Pattern, NamesTheProjectionWhoseWidthItDoesNotDivide) {
  std::string message;
  EXPECT_EQ(
      code_of([&] { (void)row_pattern(parse_pattern("2:5"), 576, "projection q of block 3"); }, &message),
      ExitCode::kConfig);
  EXPECT_NE(message.find("projection q of block 3"), std::string::npos) << message;
  EXPECT_NE(message.find("576"), std::string::npos) << message;
}

TEST(Method, ReadsWhatItWrites) {
  for (const std::string& name : criterion_names()) EXPECT_EQ(name_of(parse_criterion(name)), name);
  for (const std::string& name : transform_parts()) EXPECT_EQ(to_string(parse_transform(name)), name);
  EXPECT_EQ(to_string(parse_transform("var+dpts")), "dpts+var");
  EXPECT_EQ(to_string(parse_transform("ls+lpts+var+offset")), "lpts+var+ls+offset");
  EXPECT_EQ(parse_transform("rsparse").rank, 128);
}

TEST(Method, SuggestsTheNearestName) {
  std::string message;
  EXPECT_EQ(code_of([&] { (void)parse_criterion("magnitud"); }, &message), ExitCode::kConfig);
  EXPECT_NE(message.find("magnitude?"), std::string::npos) << message;
  EXPECT_EQ(code_of([&] { (void)parse_transform("dpts+vra"); }, &message), ExitCode::kConfig);
  EXPECT_NE(message.find("var?"), std::string::npos) << message;
}

TEST(Method, RefusesPartsThatExcludeEachOther) {
  EXPECT_EQ(code_of([] { (void)parse_transform("dpts+lpts"); }), ExitCode::kConfig);
  EXPECT_EQ(code_of([] { (void)parse_transform("rsparse64+spts"); }), ExitCode::kConfig);
  EXPECT_EQ(code_of([] { (void)parse_transform("dpts+"); }), ExitCode::kConfig);
  const auto conflicts = [](const char* criterion, const char* transform) {
    return !conflict_of({parse_criterion(criterion), parse_transform(transform)}).empty();
  };
  EXPECT_TRUE(conflicts("wanda", "var"));
  EXPECT_FALSE(conflicts("wanda", "none"));
  EXPECT_TRUE(conflicts("amber", "pcs"));
  EXPECT_FALSE(conflicts("amber", "dpts+var"));
  EXPECT_FALSE(conflicts("clact", "var"));
  EXPECT_TRUE(conflicts("magnitude", "dpts+ls"));
  EXPECT_FALSE(conflicts("magnitude", "lpts+ls+var"));
}

}  // namespace
}  // namespace orthant::models
