// `orthant sparsity` from outside: any number of ranks, batches and kills, what it refuses. On a small real
// model.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "tests/support/program.h"
#include "tests/support/shared_files.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

namespace json = boost::json;
using testing::content_of;
using testing::ended;
using testing::refused;
using testing::run_command;

constexpr const char* kModel = "data/models/stories260K/stories260K.bin";  // inputs of 64 and 172

class Sparsity : public ::testing::Test {
 protected:
  void SetUp() override {
    ORTHANT_NEEDS_SHARED(kModel);
    ORTHANT_NEEDS_SHARED("data/piqa/valid.jsonl");
  }
  [[nodiscard]] std::string command(const std::string& more, const std::string& launcher = "") const {
    return fmt::format("exec {} {} sparsity --model={} --data={} --window=128 --threads=1 --progress=none {}",
                       launcher, ORTHANT_PROGRAM, (testing::shared_folder() / kModel).string(),
                       (testing::shared_folder() / "data").string(), more);
  }
  [[nodiscard]] std::string out(const std::string& name) const { return " --out=" + dir_.file(name); }
  [[nodiscard]] json::object result_of(const std::string& name) const {
    return json::parse(content_of(dir_.file(name + "/result.json"))).as_object();
  }
  void run(const std::string& more, const std::string& name, const std::string& launcher = "") const {
    ASSERT_TRUE(ended(run_command(command(more + out(name), launcher)), 0));
  }
  void expect_same(const std::string& a, const std::string& b) const {
    for (const char* file : {"/requests.jsonl", "/result.json"}) {
      EXPECT_FALSE(content_of(dir_.file(a + file)).empty());
      EXPECT_EQ(content_of(dir_.file(a + file)), content_of(dir_.file(b + file)))
          << a << " against " << b << file;
    }
  }
  static const json::object& row_of(const json::object& result, const std::string& pattern,
                                    const std::string& task) {
    for (const json::value& row : result.at("rows").as_array()) {
      if (row.at("pattern").as_string() == pattern && row.at("task").as_string() == task)
        return row.as_object();
    }
    throw std::runtime_error("no such row");
  }
  testing::TempDir dir_;
};

// Row-local methods and per-sequence statistics alike.
const std::string kStudy =
    "--patterns=2:4,50% --methods=magnitude+dpts+var,amber+dpts,clact+var,magnitude+pcs,magnitude+spts "
    "--calibration.windows=3 "
    "--calibration.window=64 --retained_windows=1 --tasks=window_perplexity,piqa "
    "--limits=window_perplexity=3,piqa=70 ";

TEST_F(Sparsity, HasTheSameBytesAtAnyNumberOfRanks) {
  run(kStudy, "one");
  for (const int ranks : {2, 3, 4}) {
    const std::string name = fmt::format("ranks{}", ranks);
    run(kStudy, name, fmt::format("mpirun -n {}", ranks));
    expect_same("one", name);
  }
}

TEST_F(Sparsity, HasTheSameRequestsAtAnyBatch) {
  run(kStudy, "fast");
  for (const int batch : {1, 8, 64}) {
    const std::string name = fmt::format("batch{}", batch);
    run(fmt::format("{} --batch={}", kStudy, batch), name);
    EXPECT_EQ(content_of(dir_.file("fast/requests.jsonl")), content_of(dir_.file(name + "/requests.jsonl")))
        << batch;
  }
}

TEST_F(Sparsity, KilledAndRepeatedHasTheSameBytes) {
  run(kStudy, "whole");
  for (const int rounds : {1, 2, 3, 5}) {
    const auto killed = run_command(fmt::format("export ORTHANT_FAULT=sparsity.round:0:{}:kill; {}", rounds,
                                                command(kStudy + out("cut"))));
    EXPECT_EQ(killed.signal, SIGKILL);
  }
  run(kStudy, "cut", "mpirun -n 2");
  expect_same("whole", "cut");
  const json::value attempts = json::parse(content_of(dir_.file("cut/run.json"))).at("attempts");
  EXPECT_GT(attempts.as_array().back().at("start_cell").to_number<int64_t>(), 0);
}

// Choices, windows, rolling windows, worked answers and generated text, with both readings of
// log-probabilities.
TEST_F(Sparsity, MeasuresEveryFormOfTask) {
  ORTHANT_NEEDS_SHARED("data/gsm8k/test.jsonl");
  ORTHANT_NEEDS_SHARED("data/wikitext-2/test.txt");
  const std::string study =
      "--patterns=2:4 --criteria=clact --tasks=piqa,window_perplexity,wikitext,gsm8k_answers,gsm8k "
      "--numeric=bf16 "
      "--limits=piqa=9,window_perplexity=2,wikitext=1,gsm8k_answers=3,gsm8k=3 --shots=0 ";
  run(study, "one");
  run(study, "two", "mpirun -n 2");
  expect_same("one", "two");
  const json::object result = result_of("one");
  for (const char* task : {"piqa", "window_perplexity", "wikitext", "gsm8k_answers", "gsm8k"})
    EXPECT_TRUE(row_of(result, "2:4", task).at("value").is_double()) << task;
  std::istringstream lines(content_of(dir_.file("one/requests.jsonl")));
  int texts = 0, cut = 0;
  for (std::string line; std::getline(lines, line);) {
    const json::object request = json::parse(line).as_object();
    EXPECT_NE(request.contains("text"), request.contains("log_prob_bf16"));
    texts += request.contains("text") ? 1 : 0;
    const bool is_dense = request.at("pattern").as_string() == "dense";
    cut += is_dense && request.contains("cut") ? 1 : 0;
  }
  EXPECT_EQ(texts, 2 * 3);
  EXPECT_EQ(result.at("cut_contexts").as_int64(), cut);
}

TEST_F(Sparsity, ComposesBatchesAsTheReferenceOnlyWhereItIsAsked) {
  const std::string study = "--patterns=2:4 --criteria=clact --tasks=piqa --limit=16 ";
  run(study, "sequence");
  run(study + "--statistics=call --batch=1", "alone");
  run(study + "--statistics=call --batch=8", "together");
  EXPECT_EQ(content_of(dir_.file("sequence/requests.jsonl")), content_of(dir_.file("alone/requests.jsonl")));
  // Another batch, in which one window's statistics are not the other's.
  const std::string windows = "--patterns=2:4 --criteria=clact --tasks=window_perplexity --limit=5 ";
  run(windows, "windows");
  run(windows + "--statistics=call --batch=3", "threes");
  EXPECT_NE(content_of(dir_.file("windows/requests.jsonl")), content_of(dir_.file("threes/requests.jsonl")));
  EXPECT_NE(content_of(dir_.file("sequence/requests.jsonl")),
            content_of(dir_.file("together/requests.jsonl")));
  run(study + "--statistics=call --batch=8", "ranks", "mpirun -n 2");
  expect_same("together", "ranks");
}

TEST_F(Sparsity, OfAllInputsIsTheDenseModel) {
  run("--patterns=4:4,0% --methods=magnitude,clact --tasks=piqa,gsm8k_answers --limit=5", "all");
  std::map<std::string, std::string> dense;
  std::istringstream lines(content_of(dir_.file("all/requests.jsonl")));
  int compared = 0;
  for (std::string line; std::getline(lines, line);) {
    json::object request = json::parse(line).as_object();
    const bool is_dense = request.at("pattern").as_string() == "dense";
    for (const char* name : {"pattern", "criterion", "transform"}) request.erase(name);
    const std::string key =
        fmt::format("{} {} {}", json::serialize(request.at("task")), json::serialize(request.at("doc")),
                    json::serialize(request.at("choice")));
    if (is_dense) {
      dense[key] = json::serialize(request);
      continue;
    }
    EXPECT_EQ(json::serialize(request), dense.at(key));
    ++compared;
  }
  EXPECT_EQ(compared, 4 * (2 * 5 + 5));
}

TEST_F(Sparsity, StatesDropsBesideTheDenseModel) {
  run("--patterns=2:4 --tasks=window_perplexity,piqa --limits=window_perplexity=4,piqa=40", "study");
  const json::object result = result_of("study");
  const json::object &dense = row_of(result, "dense", "window_perplexity"),
                     &pruned = row_of(result, "2:4", "window_perplexity");
  const double before = dense.at("value").as_double(), after = pruned.at("value").as_double();
  EXPECT_NEAR(pruned.at("drop_percent").as_double(), 100.0 * (after - before) / before, 1e-9);
  EXPECT_EQ(dense.at("drop_percent").as_double(), 0.0);
  EXPECT_GT(after, before);
  EXPECT_NEAR(pruned.at("log_difference").at("mean").as_double(), std::log(after / before), 1e-9);
  const json::object &right = row_of(result, "dense", "piqa"), &fewer = row_of(result, "2:4", "piqa");
  EXPECT_EQ(right.at("metric").as_string(), "acc");
  const double difference = fewer.at("difference").at("mean").as_double();
  EXPECT_NEAR(difference, fewer.at("value").as_double() - right.at("value").as_double(), 1e-12);
  EXPECT_NEAR(
      static_cast<double>(fewer.at("only_pruned_right").as_int64() - fewer.at("only_dense_right").as_int64()),
      40.0 * difference, 1e-9);
  EXPECT_NEAR(result.at("mean_drops").as_array()[0].at("mean_drop_percent").as_double(),
              fewer.at("drop_percent").as_double(), 1e-12);
}

TEST_F(Sparsity, LeavesPairsOutThatDoNotGoTogether) {
  run("--patterns=2:4 --criteria=magnitude,weight_magnitude --transforms=none,var --tasks=piqa --limit=2",
      "study");
  const json::object result = result_of("study");
  ASSERT_EQ(result.at("left_out").as_array().size(), 1u);
  EXPECT_EQ(result.at("left_out").as_array()[0].at("variant").as_string(), "2:4 weight_magnitude var");
}

TEST_F(Sparsity, PrunesWeightsForTheirVariantAlone) {
  const std::string tasks = "--patterns=2:4 --tasks=piqa --limit=4 ";
  run(tasks + "--criteria=magnitude", "inputs");
  run(tasks + "--methods=weight_magnitude,magnitude", "both");
  const auto of_inputs = [&](const std::string& name) {
    std::istringstream lines(content_of(dir_.file(name + "/requests.jsonl")));
    std::string found;
    for (std::string line; std::getline(lines, line);) {
      if (line.find("\"criterion\":\"magnitude\"") != std::string::npos) found += line + "\n";
    }
    return found;
  };
  EXPECT_FALSE(of_inputs("inputs").empty());
  EXPECT_EQ(of_inputs("inputs"), of_inputs("both"));
}

// What is learned is an artefact of rank 0, which the others read and a repeated command takes up again.
TEST_F(Sparsity, LearnsTheSameAtAnyNumberOfRanks) {
  const std::string study =
      "--patterns=2:4 --methods=magnitude,magnitude+lpts+var,magnitude+ls+offset,magnitude+rsparse64 "
      "--projections=down "
      "--learning.crops=6 --learning.held_out=2 --learning.length=32 --learning.lr=1e-2 "
      "--tasks=window_perplexity "
      "--limit=2 ";
  run(study, "one");
  run(study, "two", "mpirun -n 2");
  expect_same("one", "two");
  const auto killed =
      run_command("export ORTHANT_FAULT=sparsity.round:0:3:kill; " + command(study + out("cut")));
  EXPECT_EQ(killed.signal, SIGKILL);
  run(study, "cut");
  expect_same("one", "cut");
  const auto value_of = [&](const char* transform) {
    const json::object result = result_of("one");
    for (const json::value& row : result.at("rows").as_array()) {
      if (row.at("transform").as_string() == transform && row.at("pattern").as_string() == "2:4")
        return row.at("value").as_double();
    }
    return 0.0;
  };
  for (const char* transform : {"lpts+var", "ls+offset", "rsparse64"})
    EXPECT_NE(value_of(transform), value_of("none"));
}

TEST_F(Sparsity, TellsWhatSurvivesOfTheDenseModelsInputs) {
  const std::string study =
      "--patterns=2:4,4:4,50% --criteria=weight_magnitude --tasks=piqa --limit=2 --retained_windows=2 "
      "--calibration.window=32 ";
  run(study, "one");
  run(study, "two", "mpirun -n 2");
  expect_same("one", "two");
  const json::object result = result_of("one");
  const json::array& retained = result.at("retained").as_array();
  ASSERT_EQ(retained.size(), 5u * 4 * 3);  // blocks, inputs, patterns
  std::map<std::string, double> squares;
  for (const json::value& row : retained) {
    const double share = row.at("squares").to_number<double>();
    squares[std::string(row.at("pattern").as_string())] += share;
    EXPECT_GE(share, row.at("magnitudes").to_number<double>());
  }
  EXPECT_EQ(squares.at("4:4"), 20.0);
  EXPECT_LT(squares.at("2:4"), squares.at("50%"));
  EXPECT_LT(squares.at("50%"), 20.0);
  EXPECT_GT(squares.at("2:4"), 10.0);
  const std::string refusable = "--tasks=piqa --limit=1 --retained_windows=2 ";
  EXPECT_TRUE(refused(run_command(command(refusable + out("none"))), 78, "without a pattern", "--patterns"));
  EXPECT_TRUE(
      refused(run_command(command(refusable + "--patterns=2:4 --calibration.window=513" + out("none"))), 78,
              "reads 513 tokens", "512"));
  // Of the input of down, which is not pruned here.
  EXPECT_TRUE(refused(run_command(command(refusable + "--patterns=8:16 --projections=q" + out("none"))), 78,
                      "projection down"));
}

// Several models and sets of blocks are a sweep, whose cells are the studies by themselves.
TEST_F(Sparsity, IsTheCellOfASweepOverModelsAndLayers) {
  // With its tokenizer beside it.
  std::filesystem::create_directory(dir_.file("other"));
  for (const auto& file :
       std::filesystem::directory_iterator((testing::shared_folder() / kModel).parent_path()))
    std::filesystem::copy_file(file.path(),
                               std::filesystem::path(dir_.file("other")) / file.path().filename());
  const std::string model = (testing::shared_folder() / kModel).string();
  const std::string other = dir_.file("other/stories260K.bin");
  std::fstream changed(other, std::ios::in | std::ios::out | std::ios::binary);
  changed.seekp(100000);
  changed.write(std::string(4000, '\0').data(), 4000);  // a thousand weights are 0
  changed.close();
  std::ofstream(dir_.file("sweep.textproto")) << fmt::format(
      R"(verb: "sparsity"
base {{ sparsity {{ data: "{}" window: 128 patterns: "2:4" tasks: "piqa" limit: 6 }} }}
axis {{ field: "model" values: "{}" values: "{}" }}
axis {{ field: "layers" values: "0" values: "1,4" values: "all" }})",
      (testing::shared_folder() / "data").string(), model, other);
  ASSERT_TRUE(
      ended(run_command(fmt::format("exec {} sweep --config={} --progress=none --out={}", ORTHANT_PROGRAM,
                                    dir_.file("sweep.textproto"), dir_.file("sweep"))),
            0));
  const json::object swept = result_of("sweep");
  const json::array& cells = swept.at("cells").as_array();
  ASSERT_EQ(cells.size(), 6u);
  std::set<std::string> different;
  for (const json::value& cell : cells) {
    ASSERT_EQ(cell.at("state").as_string(), "done");
    const std::string layers(cell.at("point").at("layers").as_string());
    const std::string of(cell.at("point").at("model").as_string());
    const std::string alone = fmt::format("alone{}", different.size());
    ASSERT_TRUE(ended(
        run_command(fmt::format(
            "exec {} sparsity --model={} --data={} --window=128 --patterns=2:4 --tasks=piqa "
            "--limit=6 --layers={} --progress=none --out={}",
            ORTHANT_PROGRAM, of, (testing::shared_folder() / "data").string(), layers, dir_.file(alone))),
        0));
    EXPECT_EQ(cell.at("rows"), result_of(alone).at("rows")) << of << " " << layers;
    different.insert(content_of(dir_.file(alone + "/requests.jsonl")));
  }
  EXPECT_EQ(different.size(), 6u);
}

TEST_F(Sparsity, RefusesWhatCannotBe) {
  const std::string task = " --tasks=piqa --limit=2";
  const auto outcome = [&](const std::string& more) { return run_command(command(more)); };
  EXPECT_TRUE(refused(outcome("--patterns=5:4" + task), 78, "5 of every 4"));
  EXPECT_TRUE(refused(outcome("--patterns=8:16" + task), 78, "projection down", "172"));
  EXPECT_TRUE(refused(outcome("--patterns=2:4 --criteria=magnitudes" + task), 78, "magnitude?"));
  EXPECT_TRUE(refused(outcome("--patterns=2:4 --transforms=dpt" + task), 78, "dpts?"));
  EXPECT_TRUE(
      refused(outcome("--patterns=2:4 --methods=wanda+var" + task), 78, "wanda", "weights are pruned"));
  EXPECT_TRUE(refused(outcome("--patterns=2:4 --projections=w1" + task), 78, "projections = w1"));
  EXPECT_TRUE(refused(outcome("--patterns=2:4 --layers=99" + task), 78, "blocks 0 to 4"));
  EXPECT_TRUE(refused(outcome("--patterns=2:4 --tasks=piqaa --limit=2"), 78, "piqa?"));
  EXPECT_TRUE(refused(outcome("--patterns=2:4 --limit=2"), 78, "--tasks"));
  EXPECT_TRUE(refused(outcome("--patterns=2:4 --limits=piqa" + task), 78, "piqa=200"));
  EXPECT_TRUE(refused(outcome("--patterns=2:4 --limits=piqaa=2" + task), 78, "piqa?"));
  EXPECT_TRUE(refused(outcome("--methods=magnitude" + task), 78, "--patterns"));
  EXPECT_TRUE(refused(outcome("--patterns=2:4 --statistics=call" + task), 78, "--batch"));
  EXPECT_TRUE(refused(outcome("--patterns=2:4 --methods=magnitude+rsparse64" + task), 78, "rank"));
  EXPECT_TRUE(
      refused(outcome("--patterns=2:4 --methods=wanda --calibration.window=9999" + task), 78, "9999"));
}

TEST_F(Sparsity, NamesTheLineOfAMissingField) {
  std::filesystem::create_directories(dir_.file("data/boolq"));
  std::ofstream(dir_.file("data/boolq/boolq.jsonl")) << "{\"passage\":\"Cats purr.\",\"question\":\"do cats "
                                                        "purr\",\"label\":1}\n{\"passage\":\"Dogs bark.\"}\n";
  const auto outcome = run_command(
      fmt::format("exec {} sparsity --model={} --data={} --patterns=2:4 --tasks=boolq --progress=none",
                  ORTHANT_PROGRAM, (testing::shared_folder() / kModel).string(), dir_.file("data")));
  EXPECT_TRUE(refused(outcome, 65, "boolq.jsonl", "line 2", "label"));
}

}  // namespace
}  // namespace orthant
