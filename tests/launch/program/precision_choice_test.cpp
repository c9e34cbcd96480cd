#include "launch/program/precision_choice.h"

#include <gtest/gtest.h>

#include "launch/config.pb.h"
#include "tests/support/code_of.h"

namespace orthant::launch {
namespace {

constexpr Device kCuda{DeviceKind::kCuda, 0};

Config perplexity(const std::string& precision) {
  Config config(std::make_shared<const ConfigSchema>("lm perplexity", *LmPerplexity::descriptor(),
                                                     Common::descriptor()));
  if (!precision.empty()) config.set("precision", precision);
  config.resolve();
  return config;
}

std::string settled(const std::string& asked, Device device) {
  Config config = perplexity(asked);
  settle_precision(config, device);
  return config.as<LmPerplexity>().precision();
}

TEST(PrecisionChoice, FollowsTheDeviceWhereNothingIsAsked) {
  EXPECT_EQ(settled("", kCpu), "f32");
  EXPECT_EQ(settled("", kCuda), "bf16");
}

TEST(PrecisionChoice, IsThatOfEveryDeviceWhereTheJobIsDeterministic) {
  Config config = perplexity("");
  config.set("deterministic", "true");
  settle_precision(config, kCuda);
  EXPECT_EQ(config.as<LmPerplexity>().precision(), "f32");
}

TEST(PrecisionChoice, LeavesWhatIsAsked) {
  EXPECT_EQ(settled("bf16", kCpu), "bf16");
  EXPECT_EQ(settled("f32", kCuda), "f32");
  EXPECT_EQ(settled("tf32", kCuda), "tf32");
}

TEST(PrecisionChoice, RefusesTf32OnTheCpu) {
  EXPECT_EQ(testing::code_of([] { (void)settled("tf32", kCpu); }), ExitCode::kConfig);
}

TEST(PrecisionChoice, IsPartOfTheJob) {
  Config on_cpu = perplexity(""), on_cuda = perplexity(""), asked = perplexity("f32");
  settle_precision(on_cpu, kCpu);
  settle_precision(on_cuda, kCuda);
  EXPECT_EQ(on_cpu.key(), asked.key());
  EXPECT_NE(on_cpu.key(), on_cuda.key());
}

TEST(PrecisionChoice, IsNoMatterOfVerbsWithoutProducts) {
  Config config(
      std::make_shared<const ConfigSchema>("lm tokenize", *LmTokenize::descriptor(), Common::descriptor()));
  config.resolve();
  const Hash128 before = config.key();
  settle_precision(config, kCuda);
  EXPECT_EQ(config.key(), before);
}

}  // namespace
}  // namespace orthant::launch
