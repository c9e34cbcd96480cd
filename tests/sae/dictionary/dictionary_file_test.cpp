#include "sae/dictionary/dictionary_file.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <iterator>

#include "runtime/comm/self.h"
#include "runtime/comm/world.h"
#include "runtime/storage/safetensors.h"
#include "sae/dictionary/reconstruction.h"
#include "tests/support/random_dictionary.h"
#include "tests/support/temp_dir.h"

namespace orthant::sae {
namespace {

using testing::random_dictionary;
using testing::RandomDictionarySpec;
using testing::TempDir;

std::string bytes_of_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

void write_whole(const Dictionary& dictionary, const std::string& path) {
  Stream stream;
  const auto self = make_self_communicator();
  write_dictionary_file(dictionary, {{"source", "a test"}}, path, *self, true, stream);
}

template <typename View>
void expect_same_bits(View got, View expected, const char* what) {
  ASSERT_EQ(got.shape, expected.shape) << what;
  if (got.bytes() == 0) return;
  EXPECT_EQ(std::memcmp(got.data, expected.data, static_cast<size_t>(got.bytes())), 0) << what;
}

// The rows `slice` of `whole`, in every tensor.
void expect_slice(const Dictionary& got, const Dictionary& whole, Share slice) {
  const bool has_thresholds = whole.thresholds.shape()[0] > 0;
  const auto part = [&](const auto& tensor) { return tensor.view().rows(slice.first, slice.count); };
  EXPECT_EQ(got.slice.first, slice.first);
  expect_same_bits(got.encoder.view(), part(whole.encoder), "encoder");
  expect_same_bits(got.decoder.view(), part(whole.decoder), "decoder");
  expect_same_bits(got.encoder_bias.view(), part(whole.encoder_bias), "encoder bias");
  expect_same_bits(got.decoder_bias.view(), whole.decoder_bias.view(), "decoder bias");
  expect_same_bits(got.whitening.mean.view(), whole.whitening.mean.view(), "whitening mean");
  expect_same_bits(got.whitening.axes.view(), whole.whitening.axes.view(), "whitening axes");
  expect_same_bits(got.whitening.spread.view(), whole.whitening.spread.view(), "whitening spread");
  if (has_thresholds) expect_same_bits(got.thresholds.view(), part(whole.thresholds), "thresholds");
}

const std::vector<RandomDictionarySpec> kSpecs = {
    {.architecture = Architecture::kTopK, .rescale_acts_by_decoder_norm = true},
    {.architecture = Architecture::kBatchTopK, .input_scaling = InputScaling::kUnitMeanSquare},
    {.architecture = Architecture::kJumpRelu, .subtract_decoder_bias = false},
    {.architecture = Architecture::kStandard, .input_scaling = InputScaling::kLayerNorm},
    {.architecture = Architecture::kTopK, .input_scaling = InputScaling::kWhiten}};

class DictionaryFileOf : public ::testing::TestWithParam<RandomDictionarySpec> {};
INSTANTIATE_TEST_SUITE_P(Architectures, DictionaryFileOf, ::testing::ValuesIn(kSpecs), [](const auto& spec) {
  return std::string(name_of(spec.param.architecture)) + "_" + std::string(name_of(spec.param.input_scaling));
});

TEST_P(DictionaryFileOf, ComesBackToTheBit) {
  const TempDir folder;
  const std::string path = folder.file("dictionary.safetensors");
  Memory memory;
  const Dictionary d = random_dictionary(GetParam(), memory);
  write_whole(d, path);
  EXPECT_TRUE(is_dictionary_file(path));
  const DictionaryFile file = read_dictionary_file(path, memory);
  EXPECT_EQ(file.dictionary.architecture, d.architecture);
  EXPECT_EQ(file.dictionary.input_scaling, d.input_scaling);
  EXPECT_EQ(file.dictionary.subtract_decoder_bias, d.subtract_decoder_bias);
  EXPECT_EQ(file.dictionary.rescale_acts_by_decoder_norm, d.rescale_acts_by_decoder_norm);
  EXPECT_EQ(file.dictionary.has_encoder_bias, d.has_encoder_bias);
  EXPECT_EQ(file.dictionary.k, d.k);
  EXPECT_EQ(file.dictionary.d_model, d.d_model);
  EXPECT_EQ(file.dictionary.latents, d.latents);
  EXPECT_EQ(file.dictionary.threshold, d.threshold);
  EXPECT_EQ(file.dictionary.input_scale, d.input_scale);
  EXPECT_EQ(file.metadata.at("source"), "a test");
  expect_slice(file.dictionary, d, {0, d.latents});
}

TEST_P(DictionaryFileOf, IsTheSameFromShardsAndIsReadByShards) {
  const TempDir folder;
  Memory memory;
  const Dictionary whole = random_dictionary(GetParam(), memory);
  write_whole(whole, folder.file("whole"));
  run_thread_ranks(3, [&](World world) {
    Memory own;
    Stream stream;
    const DictionaryFile part = read_dictionary_file(folder.file("whole"), own, 3, world.rank());
    expect_slice(part.dictionary, whole, latent_slice(whole.latents, 3, world.rank(), 0));
    write_dictionary_file(part.dictionary, {{"source", "a test"}}, folder.file("shards"), *world.data, true,
                          stream);
  });
  EXPECT_EQ(bytes_of_file(folder.file("shards")), bytes_of_file(folder.file("whole")));
}

TEST(DictionaryFile, IsWrittenByOneReplica) {
  const TempDir folder;
  Memory memory;
  Stream stream;
  const Dictionary d = random_dictionary({}, memory);
  const auto self = make_self_communicator();
  write_dictionary_file(d, {}, folder.file("absent"), *self, false, stream);
  EXPECT_FALSE(std::filesystem::exists(folder.file("absent")));
}

TEST(DictionaryFile, FailsOnEveryRankWhenItCannotBeWritten) {
  const TempDir folder;
  Memory memory;
  const Dictionary whole = random_dictionary({}, memory);
  write_whole(whole, folder.file("whole"));
  std::atomic<int> failed = 0;
  run_thread_ranks(3, [&](World world) {
    Memory own;
    Stream stream;
    const DictionaryFile part = read_dictionary_file(folder.file("whole"), own, 3, world.rank());
    try {
      write_dictionary_file(part.dictionary, {}, folder.file("no such folder/file"), *world.data, true,
                            stream);
    } catch (const Error& error) {
      if (error.code() == ExitCode::kIo) ++failed;
    }
  });
  EXPECT_EQ(failed, 3);
}

class Damaged : public ::testing::Test {
 protected:
  void SetUp() override {
    write_whole(random_dictionary({}, memory_), path_);
    bytes_ = bytes_of_file(path_);
  }
  // Reads `bytes` as a file, which must be refused as damaged, and returns the message.
  std::string refused(const std::string& bytes) {
    write_bytes(path_, bytes);
    try {
      (void)read_dictionary_file(path_, memory_);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kData) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "was read";
    return "";
  }
  // The bytes with the first `from` replaced by a text of the same length.
  [[nodiscard]] std::string with(const std::string& from, const std::string& to) const {
    std::string changed = bytes_;
    const size_t at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    EXPECT_EQ(from.size(), to.size());
    return changed.replace(at, from.size(), to);
  }

  TempDir folder_;
  std::string path_ = folder_.file("dictionary.safetensors");
  Memory memory_;
  std::string bytes_;
};

TEST_F(Damaged, IsRefusedWhenCutAnywhere) {
  for (const size_t length : {size_t{0}, size_t{7}, size_t{40}, bytes_.size() / 2, bytes_.size() - 1}) {
    refused(bytes_.substr(0, length));
  }
  write_bytes(path_, bytes_.substr(0, 40));
  EXPECT_FALSE(is_dictionary_file(path_));
}

TEST_F(Damaged, IsRefusedWhenOfAnotherVersion) {
  const std::string message = refused(with("orthant dictionary 1", "orthant dictionary 2"));
  EXPECT_NE(message.find("orthant dictionary 2"), std::string::npos) << message;
  EXPECT_NE(message.find("orthant dictionary 1"), std::string::npos) << message;
  EXPECT_FALSE(is_dictionary_file(path_));
}

TEST_F(Damaged, NamesTheFieldThatIsMissing) {
  for (const char* field : {"format", "architecture", "input_scaling", "threshold", "k"}) {
    std::string other = field;
    other.back() = '_';
    const std::string quoted = std::string("\"") + field + "\"";
    const std::string message = refused(with(quoted, "\"" + other + "\""));
    EXPECT_NE(message.find(std::string("'") + field + "'"), std::string::npos) << message;
  }
}

TEST_F(Damaged, IsRefusedWhenAFieldMakesNoSense) {
  EXPECT_NE(refused(with("\"k\":\"7\"", "\"k\":\"x\"")).find("'k'"), std::string::npos);
  EXPECT_NE(refused(with("\"k\":\"7\"", "\"k\":\"0\"")).find("'k'"), std::string::npos);
  EXPECT_NE(refused(with("\"threshold\":\"-0x1p+0\"", "\"threshold\":\"-0y1p+0\"")).find("'threshold'"),
            std::string::npos);
  EXPECT_NE(refused(with("\"architecture\":\"topk\"", "\"architecture\":\"topl\"")).find("'architecture'"),
            std::string::npos);
  EXPECT_NE(refused(with("\"subtract_decoder_bias\":\"true\"", "\"subtract_decoder_bias\":\"trve\""))
                .find("'subtract_decoder_bias'"),
            std::string::npos);
}

TEST_F(Damaged, IsRefusedWithoutATensor) {
  const std::string message = refused(with("\"decoder_bias\":{", "\"decoder_bios\":{"));
  EXPECT_NE(message.find("decoder_bias"), std::string::npos) << message;
}

TEST_F(Damaged, IsRefusedWhenATensorHasAnotherShape) {
  const SafetensorsReader whole(path_);
  const std::vector<float> zeros(70 * 19, 0.0f);
  std::vector<SafetensorsTensor> tensors;
  for (const SafetensorsEntry& entry : whole.entries()) {
    tensors.push_back({.name = entry.name, .shape = entry.shape, .data = zeros.data()});
    if (entry.name == "decoder") tensors.back().shape = {70, 18};
  }
  write_safetensors(folder_.file("other"), tensors, whole.metadata());
  const std::string message = refused(bytes_of_file(folder_.file("other")));
  EXPECT_NE(message.find("decoder"), std::string::npos) << message;
}

}  // namespace
}  // namespace orthant::sae
