// `train` and `plan train` on a device, as the program calls them.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "launch/config.pb.h"
#include "launch/program/precision_choice.h"
#include "launch/program/verb.h"
#include "runtime/comm/world.h"
#include "runtime/core/error.h"
#include "runtime/core/log.h"
#include "tests/device/device.h"
#include "tests/support/code_of.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

using Fields = std::vector<std::pair<std::string, std::string>>;

const Verb& train() {
  const std::vector<Verb>& all = verbs();
  return *std::find_if(all.begin(), all.end(), [](const Verb& verb) { return verb.name == "train"; });
}

Fields tiny_job(const std::string& preset) {
  return {{"source.synthetic.features", "80"},
          {"source.synthetic.d_model", "16"},
          {"source.synthetic.l0", "4"},
          {"sae.preset", preset},
          {"sae.latents", "48"},
          {"sae.k", "3"},
          {"sae.auxk", "4"},
          {"train.batch_tokens", "24"},
          {"train.tokens", "96"},
          {"train.holdout_rows", "32"},
          {"train.lr", "0.003"},
          {"json", "true"}};
}

// What the verb prints.
json::object result_on(Device device, Fields fields) {
  Config config(schema_of(train()));
  for (const auto& [name, value] : fields) config.set(name, value);
  config.resolve();
  settle_precision(config, device);
  World world = make_self_world(device);
  Log log(0, LogLevel::kOff);
  Invocation invocation{.verb = train(),
                        .config = config,
                        .common = config.as<Common>(),
                        .world = world,
                        .log = log,
                        .device = device,
                        .own_fields = std::make_unique<Train>(config.as<Train>())};
  ::testing::internal::CaptureStdout();
  std::exception_ptr refused;
  try {
    EXPECT_EQ(train().run(invocation), ExitCode::kDone);
  } catch (const Error&) {
    refused = std::current_exception();
  }
  const std::string printed = ::testing::internal::GetCapturedStdout();
  if (refused) std::rethrow_exception(refused);
  return json::parse(printed).as_object();
}

class TrainVerb : public testing::DeviceTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(TrainVerb, SaysOfADeviceWhatItSaysOfTheCpu) {
  Fields fields = tiny_job(GetParam());
  fields.emplace_back("precision", "f32");
  const json::object cpu = result_on(kCpu, fields), there = result_on(testing::device(), fields);
  for (const char* name : {"explained_variance", "fvu", "l0", "mse", "cosine", "dead_fraction",
                           "mean_max_cosine", "chance_mean_cosine", "orthogonality", "threshold"}) {
    const double expected = cpu.at(name).to_number<double>();
    EXPECT_NEAR(there.at(name).to_number<double>(), expected, 1e-3 * (1.0 + std::abs(expected))) << name;
  }
  EXPECT_EQ(there.at("steps"), cpu.at("steps"));
  EXPECT_EQ(there.at("input_scale"), cpu.at("input_scale"));
  EXPECT_NE(there.at("weights_sha256"), json::value(""));
}

INSTANTIATE_TEST_SUITE_P(Presets, TrainVerb, ::testing::Values("topk", "batchtopk"));

using TrainVerbOfADevice = testing::DeviceTest;

TEST_F(TrainVerbOfADevice, MultipliesInBf16UnlessAsked) {
  const Fields fields = tiny_job("topk");
  Fields asked = fields;
  asked.emplace_back("precision", "bf16");
  EXPECT_EQ(result_on(testing::device(), fields).at("weights_sha256"),
            result_on(testing::device(), asked).at("weights_sha256"));
}

TEST_F(TrainVerbOfADevice, DeterministicJobsEndAsOnTheCpu) {
  for (const char* preset : {"topk", "ortsae"}) {
    Fields fields = tiny_job(preset);
    fields.emplace_back("deterministic", "true");
    json::object cpu = result_on(kCpu, fields), there = result_on(testing::device(), fields);
    for (const char* name :
         {"seconds", "own_seconds", "tokens_per_second", "memory_bytes", "peak_resident_bytes"}) {
      cpu.erase(name);
      there.erase(name);
    }
    EXPECT_EQ(there, cpu);
  }
}

TEST_F(TrainVerbOfADevice, ALiveModelOnADeviceIsNotDeterministic) {
  Fields fields = {
      {"source.model", "none"}, {"source.text", "none"}, {"source.hook", "blocks.0.hook_resid_post"},
      {"sae.preset", "topk"},   {"sae.latents", "48"},   {"deterministic", "true"}};
  std::string message;
  EXPECT_EQ(testing::code_of([&] { (void)result_on(testing::device(), fields); }, &message),
            ExitCode::kConfig);
  EXPECT_NE(message.find("harvest"), std::string::npos) << message;
}

TEST_F(TrainVerbOfADevice, RefusesWhatHasNoRoom) {
  const auto refusal = [](const char* field, const char* value) {
    Fields fields = tiny_job("topk");
    fields.emplace_back(field, value);
    std::string message;
    EXPECT_EQ(testing::code_of([&] { (void)result_on(testing::device(), fields); }, &message),
              ExitCode::kConfig);
    return message;
  };
  const std::string no_room = refusal("sae.latents", "2000000000");
  EXPECT_NE(no_room.find("this training needs"), std::string::npos) << no_room;
  EXPECT_NE(no_room.find(to_string(testing::device())), std::string::npos) << no_room;
}

}  // namespace
}  // namespace orthant::launch
