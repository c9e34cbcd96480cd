// Verbs on a device: what they print is what they print on the CPU.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <cmath>
#include <fstream>

#include "launch/program/command_line.h"
#include "launch/program/precision_choice.h"
#include "launch/program/verb.h"
#include "runtime/comm/self.h"
#include "runtime/job/run_directory.h"
#include "runtime/storage/activation_store.h"
#include "sae/dictionary/dictionary_file.h"
#include "tests/device/device.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_gguf.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

class VerbsOnDevice : public testing::DeviceTest {
 protected:
  VerbsOnDevice() {
    testing::write_tiny_gguf(model);
    std::ofstream(text) << "abcdefghabcdefghhgfedcbaababababacegbdfhacegbdfhhhhhggggffffeeee";
    std::ofstream(pairs) << R"({"context":"abc","continuation":"def"})"
                         << "\n"
                         << R"({"context":"h","continuation":"gfab"})"
                         << "\n";
  }

  // What a verb prints with --json.
  json::object run(std::vector<std::string> words, Device device) {
    for (const char* const common : {"--json", "--progress=none", "--log_level=off"}) words.push_back(common);
    Request request = parse_command_line(words);
    World world = make_self_world(device);
    Log log(0, log_level_from_name("off"));
    settle_precision(*request.config, device);
    Invocation invocation{.verb = *request.verb,
                          .config = *request.config,
                          .common = request.config->as<Common>(),
                          .world = world,
                          .log = log,
                          .device = device};
    const auto* prototype =
        google::protobuf::MessageFactory::generated_factory()->GetPrototype(request.verb->schema);
    invocation.own_fields.reset(prototype->New());
    request.config->copy_into(*invocation.own_fields);
    std::unique_ptr<RunDirectory> directory;
    if (invocation.common.has_out()) {
      directory =
          RunDirectory::open(invocation.common.out(), invocation.config, {}, {}, *world.control, log);
      invocation.run = directory.get();
    }
    EXPECT_TRUE(request.verb->runs_on_cuda);
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(request.verb->run(invocation), ExitCode::kDone);
    return json::parse(::testing::internal::GetCapturedStdout()).as_object();
  }
  [[nodiscard]] static std::vector<float> rows_of(const std::string& store) {
    StoreReader reader(store);
    std::vector<float> rows(static_cast<size_t>(reader.rows() * reader.d_model()));
    reader.read(0, {rows.data(), {reader.rows(), reader.d_model()}}, nullptr);
    return rows;
  }

  testing::TempDir dir;
  std::string model = dir.file("tiny.gguf"), text = dir.file("text.txt"), pairs = dir.file("pairs.jsonl");
};

TEST_F(VerbsOnDevice, PerplexityIsThatOfTheCpu) {
  const std::vector<std::string> words = {
      "lm", "perplexity", "--model=" + model, "--text_file=" + text, "--window=12", "--precision=f32"};
  const json::object expected = run(words, kCpu), found = run(words, testing::device());
  EXPECT_EQ(found.at("windows"), expected.at("windows"));
  EXPECT_NEAR(found.at("perplexity").as_double() / expected.at("perplexity").as_double(), 1.0, 1e-3);
}

TEST_F(VerbsOnDevice, PerplexityIsInBf16UnlessItIsAskedOtherwise) {
  const std::vector<std::string> words = {"lm", "perplexity", "--model=" + model, "--text_file=" + text,
                                          "--window=12"};
  std::vector<std::string> asked = words;
  asked.push_back("--precision=bf16");
  EXPECT_EQ(run(words, testing::device()).at("nll"), run(asked, testing::device()).at("nll"));
  asked.back() = "--precision=f32";
  EXPECT_NE(run(words, testing::device()).at("nll"), run(asked, testing::device()).at("nll"));
}

TEST_F(VerbsOnDevice, ScoresAndContinuationsAreThoseOfTheCpu) {
  const std::vector<std::string> score = {"lm", "score", "--model=" + model, "--pairs=" + pairs,
                                          "--precision=f32"};
  const json::array expected = run(score, kCpu).at("scores").as_array(),
                    found = run(score, testing::device()).at("scores").as_array();
  ASSERT_EQ(found.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_NEAR(found[i].at("log_prob").as_double(), expected[i].at("log_prob").as_double(), 1e-2);
  }
  const std::vector<std::string> generate = {"lm",           "generate",           "--model=" + model,
                                             "--prompt=abc", "--max_new_tokens=6", "--precision=f32"};
  EXPECT_EQ(run(generate, testing::device()).at("ids"), run(generate, kCpu).at("ids"));
}

TEST_F(VerbsOnDevice, HarvestsTheRowsOfTheCpu) {
  const auto harvest = [&](const std::string& name, Device device) {
    return run({"harvest", "--model=" + model, "--text=" + text, "--hook=blocks.1.hook_resid_post",
                "--context=12", "--dtype=f32", "--precision=f32", "--out=" + dir.file(name)},
               device);
  };
  EXPECT_EQ(harvest("there", testing::device()).at("tokens"), harvest("here", kCpu).at("tokens"));
  const std::vector<float> found = rows_of(dir.file("there")), expected = rows_of(dir.file("here"));
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], expected[i], 1e-3 * (1.0 + std::abs(expected[i]))) << i;
  }
}

TEST_F(VerbsOnDevice, EvaluatesADictionaryAsTheCpuDoes) {
  Memory memory;
  Stream stream;
  sae::Conventions conventions;
  conventions.architecture = sae::Architecture::kTopK;
  conventions.latents = 48;
  conventions.k = 4;
  sae::Dictionary dictionary = sae::allocate_dictionary(conventions, 24, {0, 48}, memory);
  sae::initialize_dictionary(dictionary, sae::EncoderInit::kUnitTransposed, 3);
  sae::write_dictionary_file(dictionary, {}, dir.file("sae.safetensors"), *make_self_communicator(), true,
                             stream);
  (void)run({"harvest", "--model=" + model, "--text=" + text, "--hook=blocks.1.hook_resid_post",
             "--context=12", "--dtype=f32", "--precision=f32", "--out=" + dir.file("store")},
            kCpu);
  const std::vector<std::string> words = {"evaluate",
                                          "--model=" + model,
                                          "--sae=" + dir.file("sae.safetensors"),
                                          "--source.store=" + dir.file("store"),
                                          "--source.holdout=0",
                                          "--source.exclude.positions=-1",
                                          "--precision=f32"};
  const json::object expected = run(words, kCpu), found = run(words, testing::device());
  for (const char* const name : {"explained_variance", "l0", "mse", "ce_loss_without_sae", "ce_loss_with_sae",
                                 "ce_loss_with_ablation", "kl_div_with_sae", "mean_max_cosine"}) {
    const double value = expected.at(name).to_number<double>();
    EXPECT_NEAR(found.at(name).to_number<double>(), value, 1e-3 * (1.0 + std::abs(value))) << name;
  }
  EXPECT_EQ(found.at("measured_rows"), expected.at("measured_rows"));
}

TEST_F(VerbsOnDevice, TrainsOnALiveModelAsTheCpuDoes) {
  const std::vector<std::string> words = {"train",
                                          "--source.model=" + model,
                                          "--source.text=" + text,
                                          "--source.hook=blocks.1.hook_resid_post",
                                          "--source.context=12",
                                          "--source.holdout=0",
                                          "--sae.latents=48",
                                          "--sae.k=4",
                                          "--train.batch_tokens=16",
                                          "--train.tokens=96",
                                          "--train.holdout_rows=32",
                                          "--precision=f32"};
  const json::object expected = run(words, kCpu), found = run(words, testing::device());
  for (const char* const name : {"explained_variance", "l0", "mse", "input_scale"}) {
    const double value = expected.at(name).to_number<double>();
    EXPECT_NEAR(found.at(name).to_number<double>(), value, 1e-2 * (1.0 + std::abs(value))) << name;
  }
}

}  // namespace
}  // namespace orthant::launch
