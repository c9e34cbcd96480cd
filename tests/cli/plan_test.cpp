// `orthant plan`, the plan of --dry_run, and what a run does with its own prediction.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>

#include "tests/support/program.h"
#include "tests/support/shared_files.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

namespace json = boost::json;
using testing::content_of;
using testing::ended;
using testing::Outcome;
using testing::refused;
using testing::run_orthant;

constexpr char kSynthetic[] =
    " --source.synthetic.features=40 --source.synthetic.d_model=16 --source.synthetic.l0=4";
constexpr char kSmall[] =
    " --sae.latents=48 --sae.k=4 --train.batch_tokens=64 --train.tokens=1280 --threads=1";
constexpr char kLarge[] = " --sae.latents=65536 --sae.k=64 --train.batch_tokens=16384 --plan.d_model=4096";

json::object document(const Outcome& outcome) {
  EXPECT_TRUE(ended(outcome, 0));
  return json::parse(outcome.out).as_object();
}

double number(const json::value& value) {
  return value.to_number<double>();
}

TEST(Plan, CoversEveryMeshOfAWorld) {
  const json::object plan =
      document(run_orthant(std::string("plan train --json --plan.world=8 --plan.device=h100") + kLarge));
  EXPECT_EQ(plan.at("d_model"), json::value(4096));
  const json::array& meshes = plan.at("meshes").as_array();
  ASSERT_EQ(meshes.size(), 4U);
  double least = 1e9;
  for (const json::value& mesh : meshes) {
    EXPECT_EQ(number(mesh.at("data")) * number(mesh.at("dictionary")), 8.0);
    double sum = 0.0;
    for (const auto& [name, bytes] : mesh.at("memory_bytes").as_object()) {
      if (name != "total") sum += number(bytes);
    }
    EXPECT_EQ(sum, number(mesh.at("memory_bytes").at("total")));
    // Weights of a shard: two matrices, the encoder's biases and b_dec in f32.
    const double shard = 65536.0 / number(mesh.at("dictionary"));
    EXPECT_EQ(number(mesh.at("memory_bytes").at("weights")), 4.0 * (shard * (2 * 4096 + 1) + 4096));
    const double step = number(mesh.at("seconds").at("step"));
    EXPECT_GT(step, 2.0 * 4096 * 65536 * 16384 / 8 / 989e12) << "no step is faster than light";
    if (mesh.at("fits").as_bool()) least = std::min(least, step);
  }
  EXPECT_EQ(number(plan.at("cheapest").at("seconds_per_step")), least);
  // Parameters and two moments of each, f32.
  EXPECT_NEAR(number(plan.at("disk_bytes").at("checkpoint")), 12.0 * 2 * 4096 * 65536, 2e6);
}

TEST(Plan, PrintsATableForPeople) {
  const Outcome outcome = run_orthant(std::string("plan train --plan.world=2 --plan.device=a100") + kLarge);
  ASSERT_TRUE(ended(outcome, 0));
  for (const char* part : {"1x2", "2x1", "memory of a rank", "weights", "adam", "total", "all_reduce",
                           "cheapest:", "disk:", "milliseconds of a step"}) {
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << "\n" << outcome.out;
  }
}

TEST(Plan, KeepsToTheMeshThatIsAskedFor) {
  const json::object plan = document(run_orthant(
      std::string("plan train --json --plan.world=8 --mesh.data=2") + " --plan.device=h100" + kLarge));
  ASSERT_EQ(plan.at("meshes").as_array().size(), 1U);
  EXPECT_EQ(plan.at("meshes").as_array()[0].at("dictionary"), json::value(4));
}

TEST(Plan, SaysWhichMeshesAreImpossible) {
  const json::object plan = document(run_orthant(
      "plan train --json --plan.world=8 --plan.device=h100 --plan.d_model=16 --sae.latents=4 --sae.k=2"));
  EXPECT_EQ(plan.at("meshes").as_array().size(), 3U);
  EXPECT_NE(json::serialize(plan.at("impossible")).find("exceeds sae.latents"), std::string::npos);
  EXPECT_TRUE(refused(run_orthant("plan train --plan.world=8 --mesh.data=1 --plan.d_model=16 --sae.latents=4 "
                                  "--sae.k=2"),
                      78, "exceeds sae.latents"));
}

TEST(Plan, RefusesWhatItCannotPlan) {
  EXPECT_TRUE(
      refused(run_orthant("plan evaluate"), 64, "there is no 'plan evaluate'", "plan train, plan harvest"));
  EXPECT_TRUE(refused(run_orthant("plan"), 64, "needs a subverb"));
  EXPECT_TRUE(refused(run_orthant("plan train"), 78, "no activation source"));
  EXPECT_TRUE(refused(run_orthant("plan train --plan.device=h101"), 78, "plan.device"));
  EXPECT_TRUE(refused(run_orthant("plan train --plan.wolrd=2"), 64, "Did you mean --plan.world?"));
  EXPECT_TRUE(refused(run_orthant(std::string("plan train --compare=/nowhere") + kLarge), 74, "/nowhere"));
}

TEST(Plan, IsWhatTheRunAllocatesOnEveryMesh) {
  for (const char* const mesh : {"--mesh.data=1", "--mesh.data=2"}) {
    const testing::TempDir folder;
    const std::string out = folder.file("run");
    const std::string fields = std::string(kSynthetic) + kSmall + " " + mesh;
    const Outcome run = run_orthant("train --progress=none --out=" + out + fields, "mpirun -n 2");
    ASSERT_TRUE(ended(run, 0));
    EXPECT_NE(run.err.find("memory, MiB"), std::string::npos) << "the table is logged at the start";
    const json::object plan = document(run_orthant("plan train --json --compare=" + out + fields));
    EXPECT_EQ(plan.at("world"), json::value(2)) << "that of the run";
    const json::object& memory = plan.at("compare").at("memory_bytes").as_object();
    EXPECT_EQ(number(memory.at("predicted")), number(memory.at("measured")));
    EXPECT_GT(number(plan.at("compare").at("seconds_per_step").at("measured")), 0.0);
    EXPECT_TRUE(
        refused(run_orthant("plan train --plan.world=3 --compare=" + out + fields), 78, "--plan.world=2"));
  }
}

TEST(Plan, TakesTheConfigurationOfARunAndLeavesTheRunAlone) {
  const testing::TempDir folder;
  const std::string out = folder.file("run");
  ASSERT_TRUE(ended(run_orthant("train --progress=none --out=" + out + kSynthetic + kSmall), 0));
  const std::string result = content_of(out + "/run.json");
  const json::object plan =
      document(run_orthant("plan train --json --config=" + out + "/config.textproto --compare=" + out));
  EXPECT_EQ(plan.at("latents"), json::value(48));
  EXPECT_EQ(content_of(out + "/run.json"), result);
}

TEST(Plan, KeepsItsResult) {
  const testing::TempDir folder;
  const std::string out = folder.file("plan");
  const json::object shown =
      document(run_orthant("plan train --json --plan.device=h100 --plan.world=4 --mesh.data=2 "
                           "--out=" +
                           out + kLarge));
  EXPECT_EQ(json::parse(content_of(out + "/result.json")).at("cheapest"), shown.at("cheapest"));
}

TEST(DryRun, PrintsTheConfigurationAndThePlanAndTouchesNothing) {
  const testing::TempDir folder;
  const std::string out = folder.file("run");
  const std::string command =
      std::string("train --dry_run --sae.preset=topk --out=") + out + kSynthetic + kSmall;
  const Outcome text = run_orthant(command, "mpirun -n 2");
  ASSERT_TRUE(ended(text, 0));
  EXPECT_NE(text.out.find("preset: \"topk\""), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("1x2"), std::string::npos) << text.out;
  EXPECT_EQ(text.out.find("2x1"), std::string::npos) << "only the mesh that it would have";
  const json::object plan = document(run_orthant(command + " --json"));
  EXPECT_EQ(plan.at("config").at("sae").at("preset"), json::value("topk"));
  EXPECT_EQ(plan.at("plan").at("meshes").as_array().size(), 1U);
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST(DryRun, OfAVerbWithoutAPlanPrintsItsConfiguration) {
  const json::object shown = document(run_orthant("evaluate --dry_run --json --rows=7"));
  EXPECT_EQ(shown.at("config").at("rows"), json::value("7"));
  EXPECT_TRUE(shown.at("plan").as_object().empty());
}

TEST(TrainMemory, RefusesWhatTheHostCannotHoldBeforeAllocating) {
  const testing::TempDir folder;
  for (const char* const launcher : {"", "mpirun -n 2"}) {
    EXPECT_TRUE(refused(run_orthant("train --source.synthetic.features=40 --source.synthetic.d_model=4096 "
                                    "--sae.latents=100000000 --progress=none --out=" +
                                        folder.file("run"),
                                    launcher),
                        78, "this training needs", "TiB", "mesh.dictionary"));
  }
}

class PlanOfHarvest : public ::testing::Test {
 protected:
  static constexpr const char* kModel = "data/models/stories260K/stories260K.bin";
  void SetUp() override { ORTHANT_NEEDS_SHARED(kModel); }
  [[nodiscard]] std::string fields() const {
    return " --model=" + (testing::shared_folder() / kModel).string() + " --hook=blocks.1.hook_resid_post";
  }
};

TEST_F(PlanOfHarvest, SaysWhatTheStoreTakes) {
  const json::object plan = document(run_orthant("plan harvest --json --tokens=1000" + fields()));
  const double d_model = number(plan.at("d_model"));
  EXPECT_EQ(number(plan.at("store_bytes")), 1000 * (2 * d_model + 20));
  EXPECT_GT(number(plan.at("memory_bytes").at("weights")), 0.0);
  EXPECT_GT(number(plan.at("seconds")), 0.0);
  const json::object two =
      document(run_orthant("plan harvest --json --tokens=1000 --dtype=f32 "
                           "--hook=blocks.0.hook_resid_post" +
                           fields()));
  EXPECT_EQ(number(two.at("store_bytes")), 2 * 1000 * (4 * d_model + 20));
  EXPECT_TRUE(refused(run_orthant("plan harvest" + fields()), 78, "--text"));
}

TEST_F(PlanOfHarvest, CountsTheTokensOfTheText) {
  const testing::TempDir folder;
  std::ofstream(folder.file("text.txt")) << "Once upon a time, there was a little girl named Lily.";
  const std::string more = fields() + " --text=" + folder.file("text.txt");
  const json::object plan =
      document(run_orthant("harvest --dry_run --json --out=" + folder.file("run") + more));
  EXPECT_FALSE(std::filesystem::exists(folder.file("run")));
  const json::object done =
      document(run_orthant("harvest --json --progress=none --out=" + folder.file("run") + more));
  EXPECT_EQ(plan.at("plan").at("tokens"), done.at("tokens"));
}

}  // namespace
}  // namespace orthant
