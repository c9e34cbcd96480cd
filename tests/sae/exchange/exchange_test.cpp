#include "sae/exchange/exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "runtime/core/error.h"
#include "runtime/storage/file.h"
#include "runtime/storage/safetensors.h"
#include "tests/support/random_dictionary.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using sae::Architecture;
using sae::Dictionary;
using sae::ExchangeFormat;
using ::testing::HasSubstr;
using testing::random_dictionary;
using testing::TempDir;

std::string import_error(const std::string& path) {
  Memory memory;
  try {
    (void)sae::import_dictionary(path, memory);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Exchange, PlainSafetensorsReloadsAsWhatItWas) {
  TempDir folder;
  const std::string path = folder.file("sae.safetensors");
  for (const Architecture architecture :
       {Architecture::kTopK, Architecture::kBatchTopK, Architecture::kStandard, Architecture::kJumpRelu}) {
    Memory memory;
    const Dictionary d = random_dictionary(
        {.architecture = architecture, .input_scaling = sae::InputScaling::kUnitMeanSquare}, memory);
    sae::Provenance provenance{.model_name = "llama"};
    provenance.orthant["seed"] = 3;
    const sae::ExportResult result = export_dictionary(d, provenance, {}, ExchangeFormat::kSafetensors, path);
    EXPECT_THAT(result.files, ::testing::ElementsAre(path));
    EXPECT_LE(result.check.maximum_difference, 1e-5);
    EXPECT_GT(result.check.active, 0);
    const sae::LoadedDictionary loaded = sae::import_dictionary(path, memory);
    EXPECT_EQ(loaded.dictionary.architecture, architecture);
    EXPECT_EQ(loaded.dictionary.k, d.k);
    EXPECT_EQ(loaded.dictionary.threshold, d.threshold);
    EXPECT_EQ(loaded.metadata.at("model_name").as_string(), "llama");
    EXPECT_EQ(loaded.metadata.at("seed").as_int64(), 3);
  }
}

TEST(Exchange, PlainSafetensorsLoadsInSlices) {
  TempDir folder;
  Memory memory;
  const std::string path = folder.file("sae.safetensors");
  const Dictionary d = random_dictionary({.architecture = Architecture::kJumpRelu}, memory);
  (void)export_dictionary(d, {}, {}, ExchangeFormat::kSafetensors, path);
  const sae::LoadedDictionary part = sae::import_dictionary(path, memory, 4, 3);
  const Share slice = part.dictionary.slice;
  EXPECT_EQ(slice.end(), 70);
  for (int64_t i = 0; i < slice.count; ++i) {
    EXPECT_EQ(part.dictionary.thresholds.data()[i], d.thresholds.data()[slice.first + i]);
    EXPECT_EQ(part.dictionary.encoder.view().row(i)[18], d.encoder.view().row(slice.first + i)[18]);
  }
}

TEST(Exchange, SaelensFilesAreListedAndComplete) {
  TempDir folder;
  Memory memory;
  const std::vector<double> frequency(70, 0.5);
  const sae::ExportResult result = export_dictionary(random_dictionary({}, memory), {}, frequency,
                                                     ExchangeFormat::kSaelens, folder.file("sae"));
  EXPECT_EQ(result.files.size(), 3u);
  for (const std::string& file : result.files) EXPECT_TRUE(std::filesystem::exists(file)) << file;
  EXPECT_EQ(sae::import_dictionary(folder.file("sae"), memory).format, "SAELens topk");
}

TEST(Exchange, SaysWhatItFoundInstead) {
  TempDir folder;
  EXPECT_THAT(import_error(folder.file("absent")), HasSubstr("does not exist"));
  EXPECT_THAT(import_error(folder.path().string()),
              HasSubstr("neither cfg.json nor sae_weights.safetensors"));
  replace_file(folder.file("cfg.json"), "{}");
  EXPECT_THAT(import_error(folder.path().string()), HasSubstr("cfg.json but no sae_weights.safetensors"));
  replace_file(folder.file("sae.safetensors"), "");
  EXPECT_THAT(import_error(folder.path().string()), HasSubstr("looks like a sparsify directory"));
  replace_file(folder.file("ae.pt"), "");
  EXPECT_THAT(import_error(folder.file("ae.pt")), HasSubstr("does not end in .safetensors"));
  const float zero = 0.0f;
  write_safetensors(folder.file("other.safetensors"), {{"x", Dtype::kF32, {1}, &zero}});
  EXPECT_THAT(import_error(folder.file("other.safetensors")),
              HasSubstr("does not say how its tensors are to be used"));
}

TEST(Exchange, NamesADamagedHeaderField) {
  TempDir folder;
  const std::string path = folder.file("sae.safetensors");
  const float zero = 0.0f;
  write_safetensors(path, {{"encoder", Dtype::kF32, {1, 1}, &zero}},
                    {{"format", "orthant.dictionary"},
                     {"architecture", "topk"},
                     {"normalize_activations", "none"},
                     {"k", "many"},
                     {"origin", "{}"},
                     {"subtract_decoder_bias", "true"},
                     {"threshold", "0"}});
  EXPECT_THAT(import_error(path), HasSubstr("k is 'many', not a number"));
}

TEST(Exchange, KnowsItsFormatsByName) {
  EXPECT_EQ(sae::exchange_format_from_name("saelens"), ExchangeFormat::kSaelens);
  EXPECT_EQ(sae::exchange_format_from_name("safetensors"), ExchangeFormat::kSafetensors);
  EXPECT_THROW((void)sae::exchange_format_from_name("sparsify"), Error);
}

}  // namespace
}  // namespace orthant
