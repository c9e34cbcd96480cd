// `orthant evaluate` from text to CE recovered, on a real model.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "runtime/comm/self.h"
#include "sae/dictionary/dictionary_file.h"
#include "tests/support/shared_files.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

constexpr int64_t kWidth = 64;  // of stories260K
constexpr const char* kModel = "data/models/stories260K/stories260K.bin";

void write_text(const std::string& path) {
  std::ofstream file(path);
  for (int d = 0; d < 40; ++d) {
    file << R"({"text":"Once upon a time, there was a little girl named Lily. She had )" << d
         << R"( red balls and liked to play in the park."})"
         << "\n";
  }
}

// Latents +-e_c with weight `factor`: the identity for 1, nothing for 0.
void write_dictionary(const std::string& path, float factor) {
  Memory memory;
  Stream stream;
  sae::Conventions c;
  c.architecture = sae::Architecture::kStandard;
  c.latents = 2 * kWidth;
  sae::Dictionary d = sae::allocate_dictionary(c, kWidth, {0, c.latents}, memory);
  for (Tensor<float, 2>* rows : {&d.encoder, &d.decoder}) {
    rows->zero();
    for (int64_t i = 0; i < c.latents; ++i) rows->view().row(i)[i % kWidth] = i < kWidth ? factor : -factor;
  }
  d.encoder_bias.zero();
  d.decoder_bias.zero();
  const auto self = make_self_communicator();
  sae::write_dictionary_file(d, {}, path, *self, true, stream);
}

int run(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str());
}

boost::json::object read_json(const std::string& path) {
  std::ifstream file(path);
  return boost::json::parse(std::string(std::istreambuf_iterator<char>(file), {})).as_object();
}

TEST(Evaluate, IdentityRecoversAllOfTheLossAndZeroNothing) {
  ORTHANT_NEEDS_SHARED(kModel);
  const testing::TempDir dir;
  const std::string model = (testing::shared_folder() / kModel).string();
  const std::string program = ORTHANT_PROGRAM;
  write_text(dir.file("text.jsonl"));
  ASSERT_EQ(run(program + " harvest --model=" + model + " --text=" + dir.file("text.jsonl") +
                " --hook=blocks.2.hook_resid_post --out=" + dir.file("store")),
            0);
  const std::string inputs = " --source.store=" + dir.file("store") +
                             " --source.holdout=0.3 --model=" + model +
                             " --source.exclude.positions=-1 --source.exclude.norm_ratio=0 --threads=1";
  for (const float factor : {0.0f, 1.0f}) {
    const std::string name = factor == 0.0f ? "zero" : "identity";
    write_dictionary(dir.file(name + ".safetensors"), factor);
    const std::string command = program + " evaluate --sae=" + dir.file(name + ".safetensors") + inputs;
    ASSERT_EQ(run(command + " --out=" + dir.file(name)), 0);
    const auto result = read_json(dir.file(name + "/result.json"));
    EXPECT_NEAR(result.at("ce_loss_score").as_double(), factor, 1e-5);
    EXPECT_NEAR(result.at("kl_div_score").as_double(), factor, 1e-5);
    ASSERT_EQ(run("mpirun -n 3 " + command + " --metrics=ce --out=" + dir.file(name + "3")), 0);
    const auto three = read_json(dir.file(name + "3/result.json"));
    EXPECT_EQ(three.at("ce_loss_with_sae"), result.at("ce_loss_with_sae"));
    EXPECT_EQ(three.at("kl_div_with_ablation"), result.at("kl_div_with_ablation"));
    const auto bench = read_json(dir.file(name + "/saebench.json"));
    EXPECT_EQ(bench.at("eval_result_details").as_array().size(), static_cast<size_t>(2 * kWidth));
  }
  std::ifstream contexts(dir.file("identity/contexts.jsonl"));
  std::string line;
  int lines = 0;
  while (std::getline(contexts, line)) {
    const auto found = boost::json::parse(line).as_object();
    for (const auto& context : found.at("contexts").as_array()) {
      EXPECT_EQ(context.at("tokens").as_array().size(), context.at("activations").as_array().size());
    }
    ++lines;
  }
  EXPECT_EQ(lines, 12);
}

}  // namespace
}  // namespace orthant
