#include "sae/exchange/saelens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

#include "runtime/core/error.h"
#include "runtime/storage/file.h"
#include "runtime/storage/safetensors.h"
#include "sae/exchange/exchange.h"
#include "tests/support/random_dictionary.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using sae::Architecture;
using sae::Dictionary;
using sae::InputScaling;
using ::testing::HasSubstr;
using testing::random_dictionary;
using testing::RandomDictionarySpec;
using testing::TempDir;

constexpr double kTolerance = 1e-5;  // latents are of size 1 to 20

std::vector<float> values_of(const Tensor<float, 2>& tensor) {
  return {tensor.view().span().begin(), tensor.view().span().end()};
}

// The error of loading `directory`.
Error load_error(const std::string& directory) {
  Memory memory;
  try {
    (void)sae::load_saelens(directory, memory);
  } catch (const Error& error) {
    return error;
  }
  return {ExitCode::kDone, "nothing was thrown"};
}

class SaelensDirectory : public ::testing::Test {
 protected:
  // Exports and returns the largest difference after reloading.
  double export_and_check(const RandomDictionarySpec& spec) {
    const Dictionary dictionary = random_dictionary(spec, memory_);
    const sae::ExportResult result =
        export_dictionary(dictionary, {.model_name = "m"}, {}, sae::ExchangeFormat::kSaelens, path_);
    EXPECT_GT(result.check.active, 0);
    return result.check.maximum_difference;
  }
  boost::json::object config() { return boost::json::parse(read_file(path_ + "/cfg.json")).as_object(); }
  void set_config(const boost::json::object& config) {
    replace_file(path_ + "/cfg.json", boost::json::serialize(config));
  }
  void set_field(std::string_view field, const boost::json::value& value) {
    boost::json::object changed = config();
    changed[field] = value;
    set_config(changed);
  }

  TempDir folder_;
  std::string path_ = folder_.file("sae");
  Memory memory_;
};

TEST_F(SaelensDirectory, EveryArchitectureAndScalingReloadsToEqualLatents) {
  for (const Architecture architecture :
       {Architecture::kTopK, Architecture::kBatchTopK, Architecture::kStandard, Architecture::kJumpRelu}) {
    for (const InputScaling scaling :
         {InputScaling::kNone, InputScaling::kUnitMeanSquare, InputScaling::kLayerNorm,
          InputScaling::kConstantNormRescale, InputScaling::kWhiten}) {
      for (const bool subtract : {true, false}) {
        RandomDictionarySpec spec{.architecture = architecture, .input_scaling = scaling};
        spec.subtract_decoder_bias = subtract;
        EXPECT_LE(export_and_check(spec), kTolerance) << name_of(architecture) << " " << name_of(scaling);
      }
    }
  }
}

TEST_F(SaelensDirectory, BatchTopKIsWrittenAsJumpReluWithOneThreshold) {
  EXPECT_LE(export_and_check({.architecture = Architecture::kBatchTopK}), kTolerance);
  EXPECT_EQ(config().at("architecture").as_string(), "jumprelu");
  EXPECT_FALSE(config().contains("k"));
  const boost::json::object metadata = config().at("metadata").as_object();
  EXPECT_EQ(metadata.at("orthant").at("architecture").as_string(), "batchtopk");
  EXPECT_EQ(metadata.at("model_name").as_string(), "m");
  const SafetensorsReader reader(path_ + "/sae_weights.safetensors");
  std::vector<float> thresholds(70);
  reader.read(reader.entry("threshold"), thresholds);
  EXPECT_THAT(thresholds, ::testing::Each(0.8f));
}

TEST_F(SaelensDirectory, TopKStatesKAndKeepsExactlyKAfterLoading) {
  EXPECT_LE(export_and_check({.k = 5}), kTolerance);
  EXPECT_EQ(config().at("k").as_int64(), 5);
  EXPECT_FALSE(config().at("rescale_acts_by_decoder_norm").as_bool());
  const sae::LoadedDictionary loaded = sae::load_saelens(path_, memory_);
  EXPECT_EQ(loaded.dictionary.architecture, Architecture::kTopK);
  const Tensor<float, 2> activations = fixture_activations(loaded.dictionary, 10, memory_);
  const sae::DenseLatents z = dense_latents(loaded.dictionary, activations.view());
  EXPECT_EQ(std::count_if(z.values.begin(), z.values.end(), [](double v) { return v > 0.0; }), 50);
}

TEST_F(SaelensDirectory, EncoderIsTransposedAndDecoderIsNot) {
  const Dictionary d = random_dictionary({}, memory_);
  (void)write_saelens(d, {}, {}, path_);
  const SafetensorsReader reader(path_ + "/sae_weights.safetensors");
  const SafetensorsEntry& entry = reader.entry("W_enc");
  EXPECT_THAT(entry.shape, ::testing::ElementsAre(19, 70));
  std::vector<float> encoder(19 * 70);
  reader.read(entry, encoder);
  EXPECT_EQ(encoder[3 * 70 + 11], d.encoder.view().row(11)[3]);
  std::vector<float> decoder(19 * 70);
  reader.read(reader.entry("W_dec"), decoder);
  EXPECT_EQ(decoder, values_of(d.decoder));
}

TEST_F(SaelensDirectory, ASliceIsThatPartOfTheWhole) {
  (void)export_and_check({.architecture = Architecture::kBatchTopK});
  const sae::LoadedDictionary whole = sae::load_saelens(path_, memory_);
  for (int64_t shard = 0; shard < 3; ++shard) {
    const sae::LoadedDictionary part = sae::load_saelens(path_, memory_, 3, shard);
    const Share slice = part.dictionary.slice;
    EXPECT_EQ(slice.count, share_of(70, 3, shard).count);
    for (int64_t i = 0; i < slice.count; ++i) {
      for (int64_t c = 0; c < 19; ++c) {
        ASSERT_EQ(part.dictionary.encoder.view().row(i)[c],
                  whole.dictionary.encoder.view().row(slice.first + i)[c]);
        ASSERT_EQ(part.dictionary.decoder.view().row(i)[c],
                  whole.dictionary.decoder.view().row(slice.first + i)[c]);
      }
      ASSERT_EQ(part.dictionary.encoder_bias.data()[i],
                whole.dictionary.encoder_bias.data()[slice.first + i]);
    }
  }
  EXPECT_THROW((void)sae::load_saelens(path_, memory_, 71, 0), Error);
}

TEST_F(SaelensDirectory, FiringFrequencyIsWrittenAsItsLogarithm) {
  std::vector<double> frequency(70, 0.01);
  frequency[4] = 0.0;
  (void)write_saelens(random_dictionary({}, memory_), {}, frequency, path_);
  const SafetensorsReader reader(path_ + "/sparsity.safetensors");
  std::vector<float> logarithm(70);
  reader.read(reader.entry("sparsity"), logarithm);
  EXPECT_NEAR(logarithm[0], -2.0, 1e-6);
  EXPECT_NEAR(logarithm[4], -10.0, 1e-6);
}

TEST_F(SaelensDirectory, ATrainingCheckpointFiresLikeItsExport) {
  (void)export_and_check({.architecture = Architecture::kBatchTopK});
  const sae::LoadedDictionary as_jumprelu = sae::load_saelens(path_, memory_);
  const Dictionary& d = as_jumprelu.dictionary;
  std::vector<float> encoder(19 * 70);
  const SafetensorsReader reader(path_ + "/sae_weights.safetensors");
  reader.read(reader.entry("W_enc"), encoder);
  const double threshold = static_cast<double>(0.8f);
  const std::string checkpoint = folder_.file("checkpoint");
  make_directory(checkpoint);
  write_safetensors(checkpoint + "/sae_weights.safetensors",
                    {{"W_enc", Dtype::kF32, {19, 70}, encoder.data()},
                     {"W_dec", Dtype::kF32, {70, 19}, d.decoder.data()},
                     {"b_enc", Dtype::kF32, {70}, d.encoder_bias.data()},
                     {"b_dec", Dtype::kF32, {19}, d.decoder_bias.data()},
                     {"topk_threshold", Dtype::kF64, {}, &threshold}});
  boost::json::object changed = config();
  changed["architecture"] = "batchtopk";
  changed["k"] = 7.0;  // fractional in training
  changed["rescale_acts_by_decoder_norm"] = false;
  replace_file(checkpoint + "/cfg.json", boost::json::serialize(changed));
  const sae::LoadedDictionary loaded = sae::load_saelens(checkpoint, memory_);
  EXPECT_EQ(loaded.dictionary.architecture, Architecture::kBatchTopK);
  EXPECT_EQ(compare_latents(d, loaded.dictionary, 16).maximum_difference, 0.0);
}

TEST_F(SaelensDirectory, ReadsTheFlatLayoutOfEarlierVersions) {
  const Dictionary d = random_dictionary({}, memory_);
  (void)write_saelens(d, {}, {}, path_);
  set_config({{"d_in", 19},
              {"d_sae", 70},
              {"hook_point", "blocks.3.hook_resid_post"},
              {"normalize_activations", false},
              {"activation_fn_str", "topk"},
              {"activation_fn_kwargs", {{"k", 7}}}});
  const sae::LoadedDictionary topk = sae::load_saelens(path_, memory_);
  EXPECT_EQ(topk.dictionary.architecture, Architecture::kTopK);
  EXPECT_EQ(topk.metadata.at("hook_name").as_string(), "blocks.3.hook_resid_post");
  EXPECT_LE(compare_latents(d, topk.dictionary, 16).maximum_difference, kTolerance);
  set_config({{"d_in", 19}, {"d_sae", 70}, {"activation_fn_str", "relu"}});
  EXPECT_EQ(sae::load_saelens(path_, memory_).dictionary.architecture, Architecture::kStandard);
  set_config({{"d_in", 19}, {"d_sae", 70}, {"activation_fn_str", "tanh-relu"}});
  EXPECT_THAT(load_error(path_).what(), HasSubstr("activation 'tanh-relu' is not supported"));
}

TEST_F(SaelensDirectory, TheVersionDecidesBetweenTheLayouts) {
  (void)write_saelens(random_dictionary({}, memory_), {}, {}, path_);
  boost::json::object changed = config();
  changed["metadata"].as_object().erase("sae_lens_version");
  changed.erase("k");
  changed["activation_fn_str"] = "topk";
  changed["activation_fn_kwargs"] = {{"k", 3}};
  set_config(changed);
  EXPECT_EQ(sae::load_saelens(path_, memory_).dictionary.k, 3);
  changed["metadata"].as_object()["sae_lens_version"] = "5.9.0";
  set_config(changed);
  EXPECT_EQ(sae::load_saelens(path_, memory_).dictionary.k, 3);
}

TEST_F(SaelensDirectory, NeverAssumesK) {
  (void)write_saelens(random_dictionary({}, memory_), {}, {}, path_);
  boost::json::object changed = config();
  changed.erase("k");
  set_config(changed);
  const Error error = load_error(path_);
  EXPECT_EQ(error.code(), ExitCode::kData);
  EXPECT_THAT(error.what(), HasSubstr("k is missing"));
}

TEST_F(SaelensDirectory, RefusesWhatItCannotRepresentByName) {
  (void)write_saelens(random_dictionary({}, memory_), {}, {}, path_);
  set_field("architecture", "gated");
  Error error = load_error(path_);
  EXPECT_EQ(error.code(), ExitCode::kData);
  EXPECT_THAT(error.what(), HasSubstr("architecture 'gated' is not supported"));
  EXPECT_THAT(error.what(), HasSubstr("standard, topk, jumprelu, batchtopk"));
  set_field("architecture", "topk");
  set_field("normalize_activations", "covariance_whitening");
  EXPECT_THAT(load_error(path_).what(), HasSubstr("normalize_activations 'covariance_whitening'"));
  set_field("normalize_activations", "none");
  set_field("k", 71);
  EXPECT_THAT(load_error(path_).what(), HasSubstr("k = 71 is larger than d_sae = 70"));
  set_field("k", -1);
  EXPECT_THAT(load_error(path_).what(), HasSubstr("k is not a positive whole number"));
}

TEST_F(SaelensDirectory, NamesTheDamage) {
  (void)write_saelens(random_dictionary({}, memory_), {}, {}, path_);
  set_field("d_sae", 71);
  EXPECT_EQ(load_error(path_).code(), ExitCode::kData);
  EXPECT_THAT(load_error(path_).what(), HasSubstr("W_enc"));
  set_field("d_sae", 70);
  set_field("architecture", "jumprelu");
  EXPECT_THAT(load_error(path_).what(), HasSubstr("threshold"));
  replace_file(path_ + "/cfg.json", "{\"d_in\": ");
  EXPECT_THAT(load_error(path_).what(), HasSubstr("it is not JSON"));
  replace_file(path_ + "/cfg.json", "[]");
  EXPECT_THAT(load_error(path_).what(), HasSubstr("it is not a JSON object"));
}

TEST_F(SaelensDirectory, RefusesWeightsThatAreNotFinite) {
  Dictionary d = random_dictionary({}, memory_);
  d.decoder.data()[100] = INFINITY;
  (void)write_saelens(d, {}, {}, path_);
  EXPECT_THAT(load_error(path_).what(), HasSubstr("not finite"));
}

TEST_F(SaelensDirectory, RefusesToWriteASliceOrAnUnknownThreshold) {
  Dictionary d = random_dictionary({.architecture = Architecture::kBatchTopK}, memory_);
  d.threshold = -1.0;
  EXPECT_THROW((void)write_saelens(d, {}, {}, path_), Error);
  d.threshold = 0.5;
  d.slice = {0, 35};
  EXPECT_THROW((void)write_saelens(d, {}, {}, path_), Error);
  EXPECT_TRUE(names_in(path_).empty());
}

}  // namespace
}  // namespace orthant
