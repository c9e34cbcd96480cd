// Checkpoints and dictionaries of a training run that were damaged: what is used instead, and what is said.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "runtime/storage/file.h"
#include "tests/support/damage_file.h"
#include "tests/support/program.h"
#include "tests/support/small_train_command.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using testing::content_of;
using testing::ended;
using testing::Outcome;
using testing::refused;

class RunDamage : public ::testing::Test {
 protected:
  [[nodiscard]] static Outcome run(const std::string& arguments, const std::string& launcher = "") {
    return testing::run_orthant(arguments, launcher);
  }
  // With the checkpoints of steps 5 and 10.
  void interrupt(const std::string& launcher = "") const {
    (void)testing::run_command("export ORTHANT_FAULT=train.step:0:12:kill; " +
                               testing::orthant_command(testing::small_train_command(out_), launcher));
    ASSERT_EQ(checkpoints().size(), 2u);
  }
  [[nodiscard]] std::vector<std::string> checkpoints() const {
    std::vector<std::string> paths;
    for (const std::string& name : names_in(out_ + "/checkpoint")) {
      if (name.starts_with("step-")) paths.push_back(out_ + "/checkpoint/" + name);
    }
    return paths;
  }
  [[nodiscard]] static json::value weights_of(const Outcome& outcome) {
    EXPECT_TRUE(ended(outcome, 0));
    return outcome.code == 0 ? json::parse(outcome.out).at("weights_sha256") : json::value();
  }

  testing::TempDir folder_;
  std::string out_ = folder_.file("out");
};

TEST_F(RunDamage, TheCheckpointBeforeADamagedOneIsUsed) {
  const json::value whole = weights_of(run(testing::small_train_command(folder_.file("whole"))));
  interrupt();
  testing::flip_middle_byte(checkpoints().back() + "/shard-00000-of-00001.bin");
  const Outcome resumed = run(testing::small_train_command(out_));
  EXPECT_EQ(weights_of(resumed), whole);
  EXPECT_NE(resumed.err.find("step-000000010 is damaged and left out"), std::string::npos) << resumed.err;
  EXPECT_NE(resumed.err.find("at offset"), std::string::npos) << resumed.err;
  const json::value record = json::parse(content_of(out_ + "/run.json"));
  EXPECT_EQ(record.at("attempts").as_array().at(1).at("start_step").as_int64(), 5);
}

// The second rank's part of both, which only that rank reads.
TEST_F(RunDamage, WhereAllCheckpointsAreDamagedNothingIsStartedOver) {
  constexpr const char* kTwoRanks = "mpirun -n 2";
  interrupt(kTwoRanks);
  for (const std::string& checkpoint : checkpoints()) {
    testing::flip_middle_byte(checkpoint + "/shard-00001-of-00002.bin");
  }
  const std::string problem = "no checkpoint in " + out_ + "/checkpoint is whole";
  EXPECT_TRUE(refused(run(testing::small_train_command(out_), kTwoRanks), 65, problem, "all were damaged",
                      "--fresh"));
  EXPECT_EQ(checkpoints().size(), 2u) << "they are set aside, not removed";
  EXPECT_TRUE(refused(run(testing::small_train_command(out_)), 65, problem)) << "nor the second time";
  EXPECT_TRUE(ended(run(testing::small_train_command(out_) + " --fresh"), 0));
}

TEST_F(RunDamage, ATruncatedDictionaryNamesFileAndOffset) {
  ASSERT_TRUE(ended(run(testing::small_train_command(out_)), 0));
  const std::string file = out_ + "/dictionary.safetensors";
  const int64_t bytes = testing::cut_file(file, 0.9);
  const std::string evaluate = "evaluate --progress=none --source.synthetic.d_model=16 --sae=" + out_;
  EXPECT_TRUE(refused(run(evaluate), 65, file, "offset", "ends at " + std::to_string(bytes),
                      "Copy or make the file again"));
  EXPECT_TRUE(
      refused(run(testing::small_train_command(folder_.file("next"), "--init=" + out_)), 65, file, "offset"));
  const Outcome verified = testing::run_orthant("verify " + out_);
  EXPECT_TRUE(ended(verified, 65));
  EXPECT_NE(verified.out.find("dictionary.safetensors"), std::string::npos) << verified.out;
  testing::cut_file(file, 0.001);
  EXPECT_TRUE(refused(run(evaluate), 65, file, "Copy or make the file again"));
  EXPECT_TRUE(refused(run("evaluate --source.synthetic.d_model=16 --sae=nowhere"), 74, "no 'nowhere'",
                      "run's directory"));
}

}  // namespace
}  // namespace orthant
