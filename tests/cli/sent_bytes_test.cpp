// What `train` says that it sends to other ranks is what the formulas of the plan give.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <sstream>

#include "launch/config.pb.h"
#include "launch/train/train_config.h"
#include "launch/program/verb.h"
#include "sae/training/step_traffic.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;
using testing::content_of;

struct Job {
  std::string name;
  MeshShape mesh;
  std::string preset;
  std::string way;  // how replicas agree
  bool is_deterministic = false;
};

void PrintTo(const Job& job, std::ostream* out) {
  *out << job.name;
}

std::string fields_of(const Job& job) {
  return "--source.synthetic.features=80 --source.synthetic.d_model=24 --source.synthetic.l0=4 "
         "--sae.latents=96 "
         "--sae.k=4 --sae.dead_feature_threshold=1000000000 --train.batch_tokens=50 --train.tokens=250 "
         "--train.log_every=1 --train.holdout_rows=16 --sae.preset=" +
         job.preset + " --train.data_parallel=" + job.way + " --mesh.data=" + std::to_string(job.mesh.data) +
         " --mesh.dictionary=" + std::to_string(job.mesh.dictionary) +
         (job.is_deterministic ? " --deterministic" : "");
}

// Of rank 0, in a step that is logged.
int64_t sent_by_formula(const Job& job, int64_t step, int64_t second_round_rows) {
  const std::vector<Verb>& all = verbs();
  const Verb& train =
      *std::find_if(all.begin(), all.end(), [](const Verb& verb) { return verb.name == "train"; });
  Config config(schema_of(train));
  std::istringstream flags(fields_of(job));
  for (std::string flag; flags >> flag;) {
    const size_t equals = flag.find('=');
    config.set(flag.substr(2, equals - 2), equals == std::string::npos ? "true" : flag.substr(equals + 1));
  }
  config.set("precision", "f32");
  config.resolve();
  const sae::TrainerConfig trainer =
      trainer_config(config.as<Common>(), config.as<Train>(), job.mesh, /*d_model=*/24);
  return sae::predict_step_traffic(trainer, 24, job.mesh, 0,
                                   {.updates_row_threshold = step > trainer.conventions.threshold_start_step,
                                    .measures_variance = true,
                                    .second_round_rows = second_round_rows})
      .sent_bytes();
}

class SentBytes : public ::testing::TestWithParam<Job> {};

TEST_P(SentBytes, AreThoseOfTheFormulasInEveryStepAndInTheResult) {
  const Job& job = GetParam();
  const testing::TempDir folder;
  const std::string out = folder.file("run");
  const int ranks = job.mesh.data * job.mesh.dictionary;
  ASSERT_TRUE(testing::ended(
      testing::run_orthant("train --threads=1 --progress=none --out=" + out + " " + fields_of(job),
                           ranks == 1 ? "" : "mpirun -n " + std::to_string(ranks)),
      0));
  std::istringstream lines(content_of(out + "/metrics.jsonl"));
  int64_t steps = 0;
  double sum = 0.0;
  for (std::string line; std::getline(lines, line); ++steps) {
    const json::object metrics = json::parse(line).as_object();
    const double sent = metrics.at("system/sent_bytes_per_step").to_number<double>();
    const auto again = metrics.at("details/second_round_rows").to_number<int64_t>();
    EXPECT_EQ(sent, static_cast<double>(sent_by_formula(job, steps, again))) << "step " << steps;
    EXPECT_EQ(sent > 0.0, ranks > 1);
    sum += sent;
  }
  EXPECT_EQ(steps, 5);
  const json::object result = json::parse(content_of(out + "/result.json")).as_object();
  EXPECT_EQ(result.at("sent_bytes_per_step").to_number<double>(), sum / static_cast<double>(steps));
}

INSTANTIATE_TEST_SUITE_P(Meshes, SentBytes,
                         ::testing::Values(Job{"alone", {1, 1}, "topk", "codes"},
                                           Job{"two_shards", {1, 2}, "topk", "codes"},
                                           Job{"three_shards", {1, 3}, "topk", "codes"},
                                           Job{"two_shards_deterministic", {1, 2}, "topk", "codes", true},
                                           Job{"replicas_by_gradients", {2, 1}, "topk", "gradients"},
                                           Job{"both_by_gradients", {2, 2}, "topk", "gradients"},
                                           Job{"replicas_by_codes", {2, 1}, "topk", "codes"},
                                           Job{"dense_shards", {1, 2}, "standard", "codes"},
                                           Job{"clipped_shards", {1, 2}, "dl_topk", "codes"}),
                         [](const ::testing::TestParamInfo<Job>& named) { return named.param.name; });

}  // namespace
}  // namespace orthant::launch
