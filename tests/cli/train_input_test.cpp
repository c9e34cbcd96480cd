// What `orthant train` says of input that cannot be used, and the code it ends with.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <string>

#include "runtime/core/rng.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using testing::ended;
using testing::Outcome;
using testing::refused;
using testing::RunningProgram;

constexpr int64_t kDModel = 16;

std::string train(const std::string& more) {
  return "train --sae.latents=48 --sae.k=4 --train.batch_tokens=64 --train.tokens=1280 --progress=none "
         "--log_level=warning " +
         more;
}

std::string synthetic(const std::string& more = "") {
  return train("--source.synthetic.features=40 --source.synthetic.d_model=16 --source.synthetic.l0=4 " +
               more);
}

Outcome run(const std::string& arguments, int ranks = 1) {
  return testing::run_orthant(arguments, ranks == 1 ? "" : "mpirun -n " + std::to_string(ranks));
}

// A float32 array of `rows` rows, one of which holds `value`.
void write_npy(const std::string& path, int64_t rows, float value = 0.0f) {
  std::string header =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", 16), }";
  header.resize(117, ' ');
  header += '\n';
  std::ofstream file(path, std::ios::binary);
  file << "\x93NUMPY\x01" << '\0' << '\x76' << '\0' << header;
  for (int64_t i = 0; i < rows * kDModel; ++i) {
    const float draw = static_cast<float>(random_u64(1, Purpose::kTest, 0, static_cast<uint64_t>(i)) % 255);
    const float cell = i == 500 * kDModel + 3 ? value : draw / 64.0f - 2.0f;
    file.write(reinterpret_cast<const char*>(&cell), sizeof(cell));
  }
}

TEST(TrainInput, MisspeltFlagsNameTheNearest) {
  EXPECT_TRUE(refused(run(synthetic("--sae.lateents=3")), 64, "sae.lateents", "Did you mean --sae.latents?"));
  EXPECT_TRUE(refused(run(synthetic("stray")), 64, "stray", "--help"));
}

TEST(TrainInput, ValuesOutOfRangeNameFieldValueAndRange) {
  EXPECT_TRUE(refused(run(synthetic("--sae.k=0")), 78, "sae.k", "'0'", "at least 1"));
  EXPECT_TRUE(refused(run(synthetic("--sae.k=many")), 78, "sae.k", "'many'", "at least 1"));
  EXPECT_TRUE(refused(run(synthetic("--train.lr=nan")), 78, "train.lr", "'nan'", "at least 0"));
  EXPECT_TRUE(refused(run(synthetic("--train.adam_beta1=1")), 78, "adam_beta1", "'1'", "0 to 0.999999"));
  EXPECT_TRUE(refused(run(synthetic("--sae.preset=ortsea")), 78, "sae.preset", "'ortsea'", "ortsae"));
  EXPECT_TRUE(refused(run(synthetic("--threads=100000")), 78, "threads", "'100000'", "1024"));
  EXPECT_TRUE(refused(run(synthetic("--train.tokens=99999999999999999999")), 78, "train.tokens", "'999999",
                      "1 to 1000000000000000"));
}

TEST(TrainInput, NumbersBeyondTheirRangeAreRefusedBeforeAnythingIsAllocated) {
  const auto out_of_range = [](const std::string& flag, const std::string& value, const std::string& range) {
    return refused(run(synthetic("--" + flag + "=" + value)), 78, flag + " = '" + value + "'", range);
  };
  EXPECT_TRUE(out_of_range("sae.latents", "99999999999999", "1 to 2147483647"));
  EXPECT_TRUE(out_of_range("sae.latents", "-5", "1 to 2147483647"));
  EXPECT_TRUE(out_of_range("sae.latents", "4e3", "1 to 2147483647"));
  EXPECT_TRUE(out_of_range("train.batch_tokens", "9223372036854775807", "1 to 2147483647"));
  EXPECT_TRUE(out_of_range("train.tokens", "9223372036854775807", "1 to 1000000000000000"));
  EXPECT_TRUE(out_of_range("train.micro_batches", "99999999999", "at least 1"));
  EXPECT_TRUE(out_of_range("source.synthetic.d_model", "9223372036854775807", "1 to 2147483647"));
  EXPECT_TRUE(out_of_range("train.lr", "inf", "at least 0"));
  EXPECT_TRUE(out_of_range("train.lr", "-1", "at least 0"));
  EXPECT_TRUE(out_of_range("train.lr", "1e999", "at least 0"));
  EXPECT_TRUE(out_of_range("sae.orthogonality.coefficient", "nan", "at least 0"));
  EXPECT_TRUE(out_of_range("seed", "-1", "int"));
  EXPECT_TRUE(out_of_range("mesh.data", "-1", "at least 0"));
}

TEST(TrainInput, SizesBeyondTheHostsMemoryAreRefused) {
  for (const std::string& arguments :
       {synthetic("--sae.latents=2147483647"), synthetic("--train.batch_tokens=2147483647"),
        synthetic("--train.batch_tokens=2147483647 --source.synthetic.d_model=100000"),
        train("--source.synthetic.features=2147483647 --source.synthetic.d_model=100000")}) {
    EXPECT_TRUE(refused(run(arguments), 78, "this training needs", "iB of memory on this host, which has",
                        "(one rank here", "fewer sae.latents"))
        << arguments;
  }
}

TEST(TrainInput, ARunThatDivergesNamesItsStep) {
  for (const std::string preset : {"topk", "ortsae"}) {
    for (const std::string rate : {"1e10", "1e20", "1e30"}) {
      EXPECT_TRUE(refused(run(synthetic("--sae.preset=" + preset + " --train.lr=" + rate)), 76, "at step",
                          "Lower train.lr"))
          << preset << " " << rate;
    }
  }
}

TEST(TrainInput, SizesThatDoNotFitTogetherAreRefused) {
  EXPECT_TRUE(
      refused(run(synthetic("--sae.k=100")), 78, "sae.k = 100", "sae.latents = 48", "between 1 and 48"));
  EXPECT_TRUE(refused(run(synthetic("--sae.latents=2 --sae.k=1"), 3), 78, "mesh.dictionary = 3",
                      "sae.latents = 2", "fewer shards"));
  EXPECT_TRUE(refused(run(synthetic("--train.batch_tokens=2 --mesh.data=3"), 3), 78, "mesh.data = 3",
                      "train.batch_tokens = 2", "larger batch"));
  EXPECT_TRUE(refused(run(synthetic("--train.micro_batches=65")), 78, "train.micro_batches = 65",
                      "train.batch_tokens = 64", "fewer parts"));
  EXPECT_TRUE(refused(run(synthetic("--mesh.data=3"), 2), 78, "mesh.data=3", "ranks, 2"));
}

TEST(TrainInput, ARunIsNotContinuedWithMomentsStoredInAnotherType) {
  const testing::TempDir folder;
  const std::string into = " --out=" + folder.file("run");
  ASSERT_TRUE(ended(run(synthetic("--train.second_moment=bf16" + into)), 0));
  EXPECT_TRUE(refused(run(synthetic("--train.tokens=2560" + into)), 78, "another configuration",
                      "train.second_moment", "--fresh"));
  EXPECT_TRUE(ended(run(synthetic("--train.second_moment=bf16 --train.tokens=2560" + into)), 0));
}

TEST(TrainInput, ASourceIsNeededAndOneIsEnough) {
  EXPECT_TRUE(refused(run(train("")), 78, "no activation source", "--source.store"));
  EXPECT_TRUE(refused(run(synthetic("--source.store=there")), 78, "several", "exactly one"));
}

TEST(TrainInput, MissingFilesAreNamed) {
  EXPECT_TRUE(refused(run(train("--source.store=nowhere")), 74, "nowhere", "harvest"));
  EXPECT_TRUE(
      refused(run(train("--source.array=nowhere.npy")), 74, "nowhere.npy", "No such file", "Check the path"));
  EXPECT_TRUE(refused(run(synthetic("--config=nowhere.textproto")), 74, "nowhere.textproto", "--config"));
  EXPECT_TRUE(refused(run(synthetic("--init=nowhere")), 74, "nowhere", "run's directory"));
}

TEST(TrainInput, DamagedArraysNameFileAndOffset) {
  const testing::TempDir folder;
  const std::string path = folder.file("cut.npy");
  write_npy(path, 1000);
  ASSERT_EQ(truncate(path.c_str(), 5000), 0);
  EXPECT_TRUE(refused(run(train("--source.array=" + path)), 65, "cut.npy", "offset 5000"));
  ASSERT_EQ(truncate(path.c_str(), 4), 0);
  EXPECT_TRUE(refused(run(train("--source.array=" + path)), 65, "cut.npy", "NUMPY"));
}

TEST(TrainInput, AnEmptyArrayHasNoRowsToTrainOn) {
  const testing::TempDir folder;
  const std::string path = folder.file("empty.npy");
  write_npy(path, 0);
  EXPECT_TRUE(refused(run(train("--source.array=" + path)), 65, "empty.npy", "no rows", "Harvest"));
}

TEST(TrainInput, NonFiniteRowsAreLeftOutByNormOrEndTheRun) {
  const testing::TempDir folder;
  for (const float value : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
    const std::string path = folder.file("values.npy");
    write_npy(path, 1000, value);
    const Outcome without = run(train("--source.array=" + path));
    EXPECT_TRUE(ended(without, 0));
    EXPECT_NE(
        without.err.find("values.npy: 1 rows hold values that are not finite and are left out, the first "
                         "is row 500"),
        std::string::npos)
        << without.err;
    const std::string all = "--source.exclude.norm_ratio=0 --source.array=" + path;
    EXPECT_TRUE(refused(run(train(all)), 76, "row 500 of", "values.npy", "not finite", "norm_ratio"));
    EXPECT_TRUE(refused(run(train(all), 2), 76, "row 500 of", "not finite", "norm_ratio"));
  }
}

TEST(TrainInput, StartOfAnotherShapeIsRefused) {
  const testing::TempDir folder;
  const std::string start = folder.file("start");
  ASSERT_TRUE(ended(run(synthetic("--out=" + start)), 0));
  const std::string init = "--init=" + start;
  EXPECT_TRUE(refused(run(synthetic(init + " --source.synthetic.d_model=12")), 78, "width 16", "width 12"));
  EXPECT_TRUE(refused(run(synthetic(init + " --sae.latents=47")), 78, "48 latents", "47", "sae.latents"));
  EXPECT_TRUE(ended(run(synthetic(init)), 0));
}

TEST(TrainInput, MoreShardsThanLatentsAreRefusedByEvaluateToo) {
  const testing::TempDir folder;
  const std::string sae = folder.file("sae");
  ASSERT_TRUE(ended(run(synthetic("--sae.latents=2 --sae.k=1 --out=" + sae)), 0));
  EXPECT_TRUE(refused(run("evaluate --progress=none --source.synthetic.d_model=16 --sae=" + sae, 3), 78,
                      "mesh.dictionary = 3", "2 latents", "fewer shards"));
}

TEST(TrainInput, ADirectoryHoldsOneConfigurationAndOneJob) {
  const testing::TempDir folder;
  const std::string out = "--out=" + folder.file("out");
  RunningProgram first("export ORTHANT_FAULT=train.step:0:2:sleep:2; " +
                       testing::orthant_command(synthetic(out)));
  ASSERT_TRUE(
      first.wait_until([&] { return !testing::content_of(folder.file("out") + "/metrics.jsonl").empty(); }));
  char host[256] = {};
  gethostname(host, sizeof(host) - 1);
  EXPECT_TRUE(refused(run(synthetic(out)), 78, std::string(host) + ":" + std::to_string(first.process()),
                      "another job", "another --out"));
  ASSERT_TRUE(ended(first.wait(), 0));
  EXPECT_TRUE(refused(run(synthetic(out + " --sae.k=5")), 78, "sae.k: 4 there, 5 here", "--fresh"));
  EXPECT_TRUE(refused(run(synthetic(out + " --train.tokens=640")), 78, "train.tokens: 1280 there, 640 here"));
}

}  // namespace
}  // namespace orthant
