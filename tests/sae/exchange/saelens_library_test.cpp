// The exported directory as SAELens itself reads it. Needs a Python that imports sae_lens
// (ORTHANT_TEST_PYTHON).
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <boost/json/parse.hpp>
#include <cstdio>
#include <cstdlib>

#include "runtime/storage/safetensors.h"
#include "sae/exchange/exchange.h"
#include "tests/support/random_dictionary.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using sae::Architecture;
using sae::Dictionary;
using sae::InputScaling;
using testing::random_dictionary;
using testing::RandomDictionarySpec;
using testing::TempDir;

constexpr int64_t kRows = 32;
constexpr int kCannotImport = 77;
constexpr double kLargestDifference = 1e-5;

std::string python() {
  const char* named = std::getenv("ORTHANT_TEST_PYTHON");
  return named != nullptr ? named : "python3";
}

struct Outcome {
  int status = -1;
  std::string last_line;
};

Outcome run(const std::string& command) {
  Outcome outcome;
  std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return outcome;
  std::array<char, 65536> line{};
  while (std::fgets(line.data(), line.size(), pipe) != nullptr) outcome.last_line = line.data();
  outcome.status = WEXITSTATUS(pclose(pipe));
  return outcome;
}

// Raw activations from dense latents in export units, by the folded weights.
std::vector<float> reconstruct(const Dictionary& folded, const sae::DenseLatents& z) {
  std::vector<float> rows;
  for (int64_t r = 0; r < z.rows; ++r) {
    std::vector<double> sum(folded.decoder_bias.data(), folded.decoder_bias.data() + folded.d_model);
    for (int64_t i = 0; i < z.latents; ++i) {
      const double value = z.values[static_cast<size_t>(r * z.latents + i)];
      for (int64_t c = 0; c < folded.d_model; ++c)
        sum[static_cast<size_t>(c)] += value * folded.decoder.view().row(i)[c];
    }
    rows.insert(rows.end(), sum.begin(), sum.end());
  }
  return rows;
}

void write_fixture(const Dictionary& dictionary, const std::string& path) {
  Memory memory;
  const Tensor<float, 2> activations = fixture_activations(dictionary, kRows, memory);
  const sae::DenseLatents z = dense_latents(dictionary, activations.view());
  const std::vector<float> latents(z.values.begin(), z.values.end());
  const std::vector<float> reconstruction = reconstruct(folded_copy(dictionary, memory), z);
  write_safetensors(path,
                    {{"activations", Dtype::kF32, {kRows, dictionary.d_model}, activations.data()},
                     {"latents", Dtype::kF32, {kRows, dictionary.latents}, latents.data()},
                     {"reconstruction", Dtype::kF32, {kRows, dictionary.d_model}, reconstruction.data()}});
}

// BatchTopK stands for OrtSAE too: they differ in training only.
std::vector<RandomDictionarySpec> exported_specs() {
  return {{.architecture = Architecture::kTopK},
          {.architecture = Architecture::kTopK,
           .input_scaling = InputScaling::kUnitMeanSquare,
           .rescale_acts_by_decoder_norm = true},
          {.architecture = Architecture::kBatchTopK, .input_scaling = InputScaling::kUnitMeanSquare},
          {.architecture = Architecture::kBatchTopK, .input_scaling = InputScaling::kLayerNorm},
          {.architecture = Architecture::kStandard, .input_scaling = InputScaling::kExpectedAverageOnlyIn},
          {.architecture = Architecture::kTopK, .input_scaling = InputScaling::kWhiten},
          {.architecture = Architecture::kJumpRelu, .subtract_decoder_bias = false}};
}

void check_answer(const RandomDictionarySpec& spec, const boost::json::value& answer) {
  const bool as_jumprelu = spec.architecture == Architecture::kBatchTopK;
  EXPECT_EQ(answer.at("architecture").as_string(), as_jumprelu ? "jumprelu" : name_of(spec.architecture));
  EXPECT_EQ(answer.at("orthant").at("architecture").as_string(), name_of(spec.architecture));
  EXPECT_GT(answer.at("active").as_int64(), kRows);
  EXPECT_LE(answer.at("latents").to_number<double>(), kLargestDifference);
  // Row scalings are undone by SAELens on the output; the fixture's reconstruction is of the scaled row.
  if (spec.input_scaling != InputScaling::kLayerNorm) {
    EXPECT_LE(answer.at("reconstruction").to_number<double>(), kLargestDifference);
  }
}

TEST(SaelensLibrary, ComputesTheSameLatents) {
  TempDir folder;
  const std::vector<RandomDictionarySpec> specs = exported_specs();
  std::string command = python() + " " ORTHANT_SOURCE_DIR "/tests/sae/exchange/saelens_check.py";
  for (size_t i = 0; i < specs.size(); ++i) {
    Memory memory;
    const Dictionary dictionary = random_dictionary(specs[i], memory);
    const std::string directory = folder.file("sae" + std::to_string(i));
    (void)export_dictionary(dictionary, {}, {}, sae::ExchangeFormat::kSaelens, directory);
    write_fixture(dictionary, directory + ".safetensors");
    command += " " + directory + " " + directory + ".safetensors";
  }
  const Outcome outcome = run(command);
  if (outcome.status == kCannotImport) GTEST_SKIP() << python() << ": " << outcome.last_line;
  ASSERT_EQ(outcome.status, 0) << outcome.last_line;
  const boost::json::array answers = boost::json::parse(outcome.last_line).as_array();
  ASSERT_EQ(answers.size(), specs.size());
  for (size_t i = 0; i < specs.size(); ++i) {
    SCOPED_TRACE(outcome.last_line);
    check_answer(specs[i], answers[i]);
  }
}

}  // namespace
}  // namespace orthant
