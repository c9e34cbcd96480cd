#include "runtime/storage/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>

#include "runtime/comm/world.h"
#include "runtime/core/error.h"
#include "runtime/core/rng.h"
#include "runtime/core/share.h"
#include "runtime/job/faults.h"
#include "runtime/storage/checkpoint_manifest.h"
#include "runtime/storage/file.h"
#include "tests/support/code_of.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using testing::code_of;
using ::testing::HasSubstr;
using testing::TempDir;

constexpr int64_t kLatents = 37;  // no world size but 1 and 37 divides it
constexpr int64_t kDModel = 5;

// Sharded weights, a sharded integer counter, a replicated scalar and an empty tensor.
class State : public Checkpointable {
 public:
  State(int rank, int world)
      : share_(share_of(kLatents, world, rank)),
        rank_(rank),
        weights_(static_cast<size_t>(share_.count * kDModel)),
        fired_(static_cast<size_t>(share_.count)) {
    scramble();
  }

  void set(int64_t version) {
    for (int64_t i = 0; i < share_.count; ++i) {
      fired_[static_cast<size_t>(i)] = (share_.first + i) * 100 + version;
      for (int64_t c = 0; c < kDModel; ++c)
        weights_[static_cast<size_t>(i * kDModel + c)] = weight(share_.first + i, c, version);
    }
    threshold_ = 0.25 * static_cast<double>(version);
  }
  // A loader that restores nothing must not pass.
  void scramble() {
    std::fill(weights_.begin(), weights_.end(), -1e30f);
    std::fill(fired_.begin(), fired_.end(), -12345);
    threshold_ = -1;
  }
  [[nodiscard]] bool is(int64_t version) const {
    State expected(share_, rank_);
    expected.set(version);
    return weights_ == expected.weights_ && fired_ == expected.fired_ && threshold_ == expected.threshold_;
  }

  std::vector<TensorSlice> state() override {
    return {
        {.name = "weights",
         .dtype = Dtype::kF32,
         .shape = {kLatents, kDModel},
         .first_row = share_.first,
         .rows = share_.count,
         .data = weights_.data()},
        {.name = "fired",
         .dtype = Dtype::kI64,
         .shape = {kLatents},
         .first_row = share_.first,
         .rows = share_.count,
         .data = fired_.data()},
        {.name = "threshold",
         .dtype = Dtype::kF64,
         .shape = {1},
         .first_row = 0,
         .rows = 1,
         .data = &threshold_,
         .writes = rank_ == 0},
        {.name = "empty", .dtype = Dtype::kF32, .shape = {0, 3}, .first_row = 0, .rows = 0, .data = nullptr}};
  }

 private:
  State(Share share, int rank)
      : share_(share),
        rank_(rank),
        weights_(static_cast<size_t>(share.count * kDModel)),
        fired_(static_cast<size_t>(share.count)) {}
  static float weight(int64_t latent, int64_t column, int64_t version) {
    return random_normal(static_cast<uint64_t>(version), Purpose::kTest, 0,
                         static_cast<uint64_t>(latent * kDModel + column));
  }
  Share share_;
  int rank_;
  std::vector<float> weights_;
  std::vector<int64_t> fired_;
  double threshold_ = 0;
};

struct Session {
  explicit Session(const std::string& directory, int64_t keep = 2)
      : world(make_self_world()), checkpoints(directory, keep, *world.control, log) {}
  bool save(int64_t step) {
    state.set(step);
    return checkpoints.save({step, {{"consumed_samples", std::to_string(step * 10)}}}, objects);
  }
  // The step that was restored, or -1; -2 when the state is not that of the step.
  int64_t load() {
    state.scramble();
    const auto point = checkpoints.load(objects);
    if (!point) return -1;
    return state.is(point->step) && point->values.at("consumed_samples") == std::to_string(point->step * 10)
               ? point->step
               : -2;
  }

  Log log{1};  // silent
  World world;
  State state{0, 1};
  Checkpointable* objects[1] = {&state};
  Checkpoints checkpoints;
};

TEST(Checkpoint, RestoresWhatWasSavedAndKeepsTheNewest) {
  const TempDir directory;
  Session session(directory.file("checkpoint"));
  EXPECT_EQ(session.load(), -1);
  for (const int64_t step : {1, 2, 3}) EXPECT_TRUE(session.save(step));
  EXPECT_EQ(session.load(), 3);
  EXPECT_EQ(names_in(directory.file("checkpoint")),
            (std::vector<std::string>{"LATEST", "step-000000002", "step-000000003"}));
  EXPECT_TRUE(verify_checkpoint(directory.file("checkpoint/step-000000003")).empty());
  replace_file(directory.file("checkpoint/LATEST"), "step-000000099\n");  // never trusted
  EXPECT_EQ(session.load(), 3);
}

TEST(Checkpoint, AnyNumberOfRanksLoadsWhatAnyNumberWrote) {
  for (const int writers : {1, 2, 3, 4}) {
    const TempDir directory;
    const auto with_ranks = [&](int ranks, const std::function<void(Checkpoints&, State&)>& work) {
      run_thread_ranks(ranks, [&](World world) {
        Log log(1);
        State state(world.rank(), world.size());
        Checkpoints checkpoints(directory.file("checkpoint"), 2, *world.control, log);
        work(checkpoints, state);
      });
    };
    with_ranks(writers, [](Checkpoints& checkpoints, State& state) {
      state.set(7);
      Checkpointable* objects[] = {&state};
      EXPECT_TRUE(checkpoints.save({7, {}}, objects));
    });
    for (const int readers : {1, 2, 3, 4}) {
      with_ranks(readers, [](Checkpoints& checkpoints, State& state) {
        Checkpointable* objects[] = {&state};
        const auto point = checkpoints.load(objects);
        ASSERT_TRUE(point.has_value());
        EXPECT_EQ(point->step, 7);
        EXPECT_TRUE(state.is(7));
      });
    }
  }
}

TEST(Checkpoint, EveryDamageFallsBackToTheOneBefore) {
  const TempDir directory;
  const std::string newest = directory.file("checkpoint/step-000000002");
  Session session(directory.file("checkpoint"));
  session.save(1);
  session.save(2);
  std::vector<std::pair<std::string, std::string>> files;
  for (const std::string& name : names_in(newest)) {
    if (name != "MANIFEST.json") files.emplace_back(name, read_file(newest + "/" + name));
  }
  ASSERT_EQ(files.size(), 2u);
  const auto expect_rejected = [&](const std::string& file, const std::function<void()>& damage,
                                   const std::string& what) {
    damage();
    EXPECT_FALSE(verify_checkpoint(newest).empty()) << file << " " << what;
    EXPECT_EQ(session.load(), 1) << file << " " << what;
    ASSERT_TRUE(std::filesystem::exists(newest + ".corrupt")) << file << " " << what;
    std::filesystem::rename(newest + ".corrupt", newest);
    for (const auto& [name, content] : files) replace_file(newest + "/" + name, content);
  };
  for (const auto& [name, content] : files) {
    const std::string path = newest + "/" + name;
    for (const size_t length :
         {size_t{0}, content.size() / 2, std::min<size_t>(4096, content.size() - 2), content.size() - 1}) {
      expect_rejected(
          name, [&] { replace_file(path, content.substr(0, length)); }, "cut to " + std::to_string(length));
    }
    expect_rejected(
        name, [&] { replace_file(path, content + "x"); }, "longer");
    expect_rejected(
        name, [&] { remove_path(path); }, "missing");
    for (uint64_t i = 0; i < 60; ++i) {
      const size_t byte = random_u64(3, Purpose::kTest, 0, i) % content.size();
      std::string flipped = content;
      flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << (i % 8)));
      expect_rejected(
          name, [&] { replace_file(path, flipped); }, "bit in byte " + std::to_string(byte));
    }
  }
  EXPECT_EQ(session.load(), 2);
}

TEST(Checkpoint, FilesOfAnotherSaveAreRefused) {
  const TempDir directory;
  Session session(directory.file("checkpoint")), other(directory.file("other"));
  session.save(1);
  session.save(2);
  other.save(2);  // the same numbers, saved another time
  const std::string shard = "/step-000000002/shard-00000-of-00001.bin";
  replace_file(directory.file("checkpoint") + shard, read_file(directory.file("other") + shard));
  const std::vector<Damage> damage = verify_checkpoint(directory.file("checkpoint/step-000000002"));
  ASSERT_EQ(damage.size(), 1u);
  EXPECT_THAT(damage[0].reason, HasSubstr("another save"));
  EXPECT_EQ(session.load(), 1);
}

TEST(Checkpoint, AManifestUnderTheNameOfAnotherStepIsRefused) {
  const TempDir directory;
  Session session(directory.file("checkpoint"));
  session.save(1);
  std::filesystem::copy(directory.file("checkpoint/step-000000001"),
                        directory.file("checkpoint/step-000000009"));
  EXPECT_EQ(session.load(), 1);
}

TEST(Checkpoint, NothingStartsOverSilently) {
  const TempDir directory;
  Session session(directory.file("checkpoint"));
  session.save(1);
  remove_path(directory.file("checkpoint/step-000000001/MANIFEST.pb"));
  EXPECT_EQ(code_of([&] { session.load(); }), ExitCode::kData);
  EXPECT_EQ(code_of([&] { session.load(); }), ExitCode::kData);  // and the next time as well
}

TEST(Checkpoint, OtherTensorsAreAConfigurationErrorAndNoDamage) {
  const TempDir directory;
  Session session(directory.file("checkpoint"));
  session.save(1);
  class Wider : public Checkpointable {
   public:
    std::vector<TensorSlice> state() override {
      return {{.name = "weights",
               .shape = {kLatents, 9},
               .first_row = 0,
               .rows = kLatents,
               .data = data_.data()}};
    }
    std::vector<float> data_ = std::vector<float>(kLatents * 9);
  } wider;
  Checkpointable* objects[] = {&wider};
  std::string message;
  EXPECT_EQ(code_of([&] { (void)session.checkpoints.load(objects); }, &message), ExitCode::kConfig);
  EXPECT_THAT(message, HasSubstr("f32 [37,5]"));
  EXPECT_THAT(message, HasSubstr("f32 [37,9]"));
  EXPECT_EQ(session.load(), 1);
}

TEST(Checkpoint, ASecondSaveOfAStepReplacesTheFirst) {
  const TempDir directory;
  Session session(directory.file("checkpoint"));
  session.save(1);
  session.state.set(5);
  session.checkpoints.save({1, {{"again", "yes"}}}, session.objects);
  session.state.scramble();
  const auto point = session.checkpoints.load(session.objects);
  ASSERT_TRUE(point.has_value());
  EXPECT_EQ(point->values.at("again"), "yes");
  EXPECT_TRUE(session.state.is(5));
  EXPECT_EQ(names_in(directory.file("checkpoint")), (std::vector<std::string>{"LATEST", "step-000000001"}));
}

TEST(Checkpoint, AFullDiskLosesNothingAndStopsAfterThreeFailures) {
  const TempDir directory;
  Session session(directory.file("checkpoint"));
  ASSERT_TRUE(session.save(1));
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit small{.rlim_cur = 4500, .rlim_max = limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_FALSE(session.save(2));
  EXPECT_FALSE(session.save(3));
  const ExitCode code = code_of([&] { session.save(4); });
  setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, before);
  EXPECT_EQ(code, ExitCode::kIo);
  EXPECT_EQ(session.checkpoints.failures(), 3);
  EXPECT_EQ(session.load(), 1);
  EXPECT_EQ(names_in(directory.file("checkpoint")), (std::vector<std::string>{"LATEST", "step-000000001"}));
  EXPECT_TRUE(session.save(5));
  EXPECT_EQ(session.load(), 5);
}

TEST(Checkpoint, ARefusalOnOneRankFailsTheSaveOnAll) {
  const TempDir directory;
  run_thread_ranks(3, [&](World world) {
    Log log(1);
    State state(world.rank(), world.size());
    Checkpoints checkpoints(directory.file("checkpoint"), 2, *world.control, log);
    Checkpointable* objects[] = {&state};
    state.set(1);
    EXPECT_TRUE(checkpoints.save({1, {}}, objects));
    if (world.rank() == 0)
      std::filesystem::create_directory(directory.file("checkpoint/step-000000002.tmp.0"));
    class Refused : public Checkpointable {
     public:
      explicit Refused(bool refuses) : refuses_(refuses) {}
      std::vector<TensorSlice> state() override {
        if (refuses_) throw Error(ExitCode::kIo, "no room");
        return {};
      }
      bool refuses_;
    } refused(world.rank() == 1);
    Checkpointable* both[] = {&state, &refused};
    EXPECT_FALSE(checkpoints.save({2, {}}, both));
    state.scramble();
    EXPECT_EQ(checkpoints.load(objects)->step, 1);
    EXPECT_TRUE(state.is(1));
  });
}

class KilledAt : public ::testing::TestWithParam<std::string> {};

// A process that dies at each point of a save leaves the previous checkpoint or the new one, never a mixture.
TEST_P(KilledAt, LeavesThePreviousOrTheNewCheckpoint) {
  const TempDir directory;
  const std::string path = directory.file("checkpoint");
  {
    Session session(path, 1);
    ASSERT_TRUE(session.save(1));
  }
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Session session(path, 1);
    arm_faults(GetParam() + ":0:1:kill", 0);
    session.save(2);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "the point was not reached";
  Session session(path, 1);
  const int64_t step = session.load();
  EXPECT_TRUE(step == 1 || step == 2) << step;
  EXPECT_TRUE(session.save(3));
  EXPECT_EQ(session.load(), 3);
  EXPECT_EQ(names_in(path), (std::vector<std::string>{"LATEST", "step-000000003"}));
}
INSTANTIATE_TEST_SUITE_P(Points, KilledAt,
                         ::testing::Values("checkpoint.mkdir", "checkpoint.after_header",
                                           "checkpoint.mid_chunk", "checkpoint.before_fsync",
                                           "checkpoint.after_fsync", "checkpoint.before_manifest",
                                           "checkpoint.after_manifest", "checkpoint.before_rename",
                                           "checkpoint.after_rename", "checkpoint.during_retention"));

TEST(Checkpoint, ErrorsOfWriteFsyncAndCloseAreFailuresOfTheSave) {
  const TempDir directory;
  Session session(directory.file("checkpoint"));
  ASSERT_TRUE(session.save(1));
  for (const char* point : {"file.write", "file.fsync", "file.close"}) {
    arm_faults(std::string(point) + ":0:1:errno:5", 0);
    EXPECT_FALSE(session.save(2)) << point;
    arm_faults("", 0);
    EXPECT_EQ(session.load(), 1) << point;
    EXPECT_TRUE(session.save(1));
  }
}

}  // namespace
}  // namespace orthant
