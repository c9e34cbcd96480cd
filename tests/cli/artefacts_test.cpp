// The built program from a training run and a store to files of other programs and back, and what it says of
// damaged ones.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <boost/json/parse.hpp>
#include <cstdio>
#include <filesystem>
#include <string>

#include "runtime/storage/file.h"
#include "runtime/storage/npy.h"
#include "runtime/storage/safetensors.h"
#include "tests/support/damage_file.h"
#include "tests/support/small_store.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

namespace json = boost::json;
using testing::flip_middle_byte;
using testing::TempDir;

struct Answer {
  int code = -1;
  std::string output;
  [[nodiscard]] json::object document() const { return json::parse(output).as_object(); }
};

Answer orthant(const std::string& arguments) {
  const std::string command = std::string(ORTHANT_PROGRAM) + " " + arguments + " --json 2>/dev/null";
  Answer answer;
  FILE* pipe = popen(command.c_str(), "r");
  std::array<char, 4096> piece{};
  while (const size_t count = std::fread(piece.data(), 1, piece.size(), pipe)) {
    answer.output.append(piece.data(), count);
  }
  const int status = pclose(pipe);
  answer.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return answer;
}

std::string training(const std::string& run) {
  return "train --source.synthetic.features=64 --source.synthetic.d_model=24 --source.synthetic.l0=4 "
         "--sae.latents=96 --sae.k=6 --train.batch_tokens=128 --train.tokens=8000 --train.holdout_rows=256 "
         "--threads=1 --progress=none --out=" +
         run;
}

class TrainedRun : public ::testing::Test {
 protected:
  void SetUp() override {
    const Answer trained = orthant(training(run_));
    ASSERT_EQ(trained.code, 0);
    sha256_ = trained.document().at("weights_sha256").as_string();
  }
  TempDir folder_;
  std::string run_ = folder_.file("run");
  std::string sha256_;
};

TEST_F(TrainedRun, IsInspectedAndWhole) {
  const Answer inspected = orthant("inspect " + run_);
  ASSERT_EQ(inspected.code, 0);
  EXPECT_EQ(inspected.document().at("kind").as_string(), "sae");
  EXPECT_EQ(inspected.document().at("latents").as_int64(), 96);
  EXPECT_EQ(inspected.document().at("d_model").as_int64(), 24);
  EXPECT_EQ(inspected.document().at("weights_sha256").as_string(), sha256_);
  const Answer verified = orthant("verify " + run_);
  EXPECT_EQ(verified.code, 0);
  EXPECT_TRUE(verified.document().at("whole").as_bool());
}

TEST_F(TrainedRun, FlippedByteOfWeightsIsFoundAndRepairedAsSaid) {
  const std::string file = run_ + "/dictionary.safetensors";
  const std::string before = read_file(file);
  flip_middle_byte(file);
  const Answer verified = orthant("verify " + run_);
  EXPECT_EQ(verified.code, 65);
  const json::array damage = verified.document().at("damage").as_array();
  ASSERT_EQ(damage.size(), 1u);
  EXPECT_EQ(damage[0].at("file").as_string(), "dictionary.safetensors");
  EXPECT_NE(damage[0].at("repair").as_string().find("result.json"), json::string::npos);

  std::filesystem::remove(file);
  std::filesystem::remove(run_ + "/result.json");
  ASSERT_EQ(orthant(training(run_)).code, 0);
  EXPECT_EQ(orthant("verify " + run_).code, 0);
  EXPECT_EQ(read_file(file), before);
}

TEST_F(TrainedRun, FlippedByteOfCheckpointIsFound) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(run_ + "/checkpoint")) {
    if (entry.path().extension() == ".bin") flip_middle_byte(entry.path().string());
  }
  const Answer verified = orthant("verify " + run_);
  EXPECT_EQ(verified.code, 65);
  EXPECT_NE(verified.output.find("shard-00000-of-00001.bin"), std::string::npos);
}

TEST_F(TrainedRun, ExportsAreReadBack) {
  for (const std::string format : {"saelens", "safetensors"}) {
    const std::string out = folder_.file(format);
    const Answer exported = orthant("export " + run_ + " --to=" + format + " --out=" + out);
    ASSERT_EQ(exported.code, 0) << format;
    EXPECT_LT(exported.document().at("maximum_difference").to_number<double>(), 1e-4);
    EXPECT_GT(exported.document().at("active").to_number<int64_t>(), 0);
    EXPECT_EQ(orthant("verify " + out).code, 0);

    const std::string imported = folder_.file(format + "-imported");
    const Answer back = orthant("import " + out + " --progress=none --out=" + imported);
    ASSERT_EQ(back.code, 0) << format;
    EXPECT_EQ(back.document().at("maximum_difference").to_number<double>(), 0.0);
    EXPECT_EQ(orthant("inspect " + out).document().at("weights_sha256"),
              orthant("inspect " + imported).document().at("weights_sha256"));
    flip_middle_byte(imported + "/dictionary.safetensors");
    EXPECT_EQ(orthant("verify " + imported).code, 65);
  }
}

TEST_F(TrainedRun, ExportRefusesToWriteIntoARun) {
  EXPECT_EQ(orthant("export " + run_ + " --out=" + run_).code, 78);
  EXPECT_EQ(orthant("verify " + run_).code, 0);
}

TEST(Artefacts, AbsentAndUnknownPathsHaveTheirCodes) {
  const TempDir folder;
  EXPECT_EQ(orthant("inspect " + folder.file("absent")).code, 74);
  EXPECT_EQ(orthant("verify " + folder.path().string()).code, 65);
  EXPECT_EQ(orthant("verify").code, 64);
}

std::string small_store(const TempDir& folder, Dtype dtype) {
  std::string path = folder.file("store");
  testing::write_small_store(path, 3000, 5, dtype);
  return path;
}

TEST(StoreExport, SafetensorsHoldsTheRowsAskedFor) {
  const TempDir folder;
  const std::string store = small_store(folder, Dtype::kBF16);
  const std::string file = folder.file("rows.safetensors");
  const Answer exported = orthant("export " + store + " --to=safetensors --rows=1000:1250 --out=" + file);
  ASSERT_EQ(exported.code, 0);
  EXPECT_EQ(exported.document().at("maximum_difference").to_number<double>(), 0.0);
  const SafetensorsReader reader(file);
  const SafetensorsEntry& entry = reader.entry("activations", std::vector<int64_t>{250, 5});
  EXPECT_EQ(entry.type, "BF16");
  std::vector<float> values(250 * 5);
  reader.read(entry, values);
  for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], static_cast<float>((5000 + i) % 128));
  EXPECT_EQ(reader.read_integers(reader.entry("token_ids"))[3], 1010);
  EXPECT_EQ(reader.read_integers(reader.entry("positions"))[101], 1);
  EXPECT_EQ(reader.read_integers(reader.entry("documents"))[249], 12);
}

TEST(StoreExport, NpyHasItsLabelsBeside) {
  const TempDir folder;
  const std::string store = small_store(folder, Dtype::kBF16);
  const Answer exported = orthant("export " + store + " --to=npy --rows=:20 --out=" + folder.file("a.npy"));
  ASSERT_EQ(exported.code, 0);
  EXPECT_EQ(exported.document().at("files").as_array().size(), 4u);
  const NpyReader activations(folder.file("a.npy"));
  EXPECT_EQ(activations.shape(), (std::vector<int64_t>{20, 5}));
  EXPECT_EQ(activations.dtype(), Dtype::kF32);
  EXPECT_EQ(NpyReader(folder.file("a.token_ids.npy")).read_integers()[19], 26);
}

TEST(StoreExport, RefusesRowsOutsideTheStore) {
  const TempDir folder;
  const std::string store = small_store(folder, Dtype::kF32);
  for (const std::string rows : {"10:10", "5", "2990:3001", "-1:4", "a:b"}) {
    EXPECT_EQ(orthant("export " + store + " --rows=" + rows + " --out=" + folder.file("x.safetensors")).code,
              78)
        << rows;
  }
}

TEST(StoreExport, FlippedByteOfAStoreIsFound) {
  const TempDir folder;
  const std::string store = small_store(folder, Dtype::kF32);
  EXPECT_EQ(orthant("verify " + store).code, 0);
  std::string shard;
  for (const std::string& name : names_in(store)) {
    if (name.starts_with("shard-")) shard = name;
  }
  flip_middle_byte(store + "/" + shard);
  const Answer verified = orthant("verify " + store);
  EXPECT_EQ(verified.code, 65);
  EXPECT_NE(verified.output.find(shard), std::string::npos);
}

}  // namespace
}  // namespace orthant
