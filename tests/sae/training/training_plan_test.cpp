// The plan of a training and the training itself: the same bytes of memory, the same bytes on the wire.
#include "sae/training/training_plan.h"

#include <gtest/gtest.h>

#include <mutex>

#include "kernels/dense/precision.h"
#include "tests/support/small_training.h"

namespace orthant::sae {
namespace {

using Mesh = testing::TrainingMesh;

TrainerConfig config_of(const std::string& preset, const Mesh& mesh, int virtual_shards = 0) {
  return testing::small_training(preset, mesh, virtual_shards, 8);
}

std::vector<Mesh> meshes_for(const std::string& preset) {
  const bool dense = preset == "standard";
  std::vector<Mesh> meshes = {{{1, 1}}, {{1, 2}}, {{1, 3}}};
  for (const MeshShape shape : {MeshShape{2, 1}, MeshShape{2, 2}, MeshShape{3, 2}}) {
    if (!dense) meshes.push_back({shape});
    meshes.push_back({shape, DataParallel::kGradients});
  }
  meshes.push_back({{1, 2}, DataParallel::kCodes, 1, 3});  // micro batches
  meshes.push_back({{1, 2}, DataParallel::kCodes, 1, 1, kernels::Precision::kBF16});
  meshes.push_back({.shape = {1, 2}, .second_moment = "bf16"});
  meshes.push_back({.shape = {2, 1}, .way = DataParallel::kGradients, .second_moment = "bf16"});
  return meshes;
}

class TrainingPlan : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Presets, TrainingPlan,
                         ::testing::Values("topk", "batchtopk", "ortsae", "standard", "dl_topk",
                                           "dl_batchtopk", "saelens_topk"),
                         [](const ::testing::TestParamInfo<std::string>& preset) { return preset.param; });

std::vector<std::pair<std::string, int64_t>> allocated(const std::vector<SegmentUse>& segments) {
  std::vector<std::pair<std::string, int64_t>> bytes;
  for (const SegmentUse& use : segments) bytes.emplace_back(use.segment, use.allocated_bytes);
  return bytes;
}

TEST_P(TrainingPlan, MemoryIsWhatEveryRankAllocates) {
  for (const int virtual_shards : {0, 6}) {
    for (const Mesh& mesh : meshes_for(GetParam())) {
      if (virtual_shards > 0 && mesh.shape.data > 1 && mesh.way == DataParallel::kGradients) continue;
      TrainerConfig config = config_of(GetParam(), mesh, virtual_shards);
      config.conventions.latents = 133;  // dealt unevenly
      config.batch_tokens = 97;
      std::mutex mutex;
      int64_t most = 0;
      run_thread_ranks(mesh.shape.data * mesh.shape.dictionary, [&](World world) {
        Grid grid = make_grid(*world.data, mesh.shape);
        Memory memory;
        const Trainer trainer(config, testing::kSmallWidth, world, grid, memory);
        const TrainerFootprint planned =
            trainer_footprint(config, testing::kSmallWidth, mesh.shape, world.rank());
        EXPECT_EQ(allocated(planned.segments), allocated(memory.segments()));
        const std::lock_guard lock(mutex);
        most = std::max(most, memory.allocated_bytes());
      });
      EXPECT_EQ(trainer_footprint(config, testing::kSmallWidth, mesh.shape).memory_bytes, most)
          << "no rank needs more than rank 0";
    }
  }
}

TEST_P(TrainingPlan, NothingMoreIsAllocatedInTheSteps) {
  run_thread_ranks(2, [&](World world) {
    Grid grid = make_grid(*world.data, {.data = 1, .dictionary = 2});
    Memory memory;
    Memory source_memory;
    SyntheticSource source(testing::small_synthetic(), testing::kSmallSourceSeed, source_memory);
    Trainer trainer(config_of(GetParam(), {{1, 2}}), testing::kSmallWidth, world, grid, memory);
    trainer.initialize(source);
    const int64_t before = memory.allocated_bytes();
    for (int step = 0; step < 3; ++step) (void)trainer.step(source);
    EXPECT_EQ(memory.allocated_bytes(), before);
  });
}

TEST(TrainingPlanOfLargeDictionaries, TouchesNoMemory) {
  TrainerConfig config = config_of("ortsae", {{1, 8}});
  config.conventions.latents = int64_t{1} << 20;
  config.batch_tokens = 32768;
  const int64_t resident = peak_resident_bytes();
  const TrainerFootprint footprint = trainer_footprint(config, 4096, {.data = 1, .dictionary = 8});
  EXPECT_GT(footprint.memory_bytes, int64_t{10} << 30);
  EXPECT_GT(footprint.checkpoint_bytes, int64_t{95} << 30);
  EXPECT_LT(peak_resident_bytes() - resident, int64_t{64} << 20);
}

TEST(TrainingPlanOfBf16Moments, HalvesSecondMomentsInMemoryAndInCheckpoints) {
  const TrainerConfig exact = config_of("topk", {{1, 1}});
  const TrainerConfig rounded = config_of("topk", {.shape = {1, 1}, .second_moment = "bf16"});
  const TrainerFootprint whole = trainer_footprint(exact, testing::kSmallWidth, {1, 1});
  const TrainerFootprint halved = trainer_footprint(rounded, testing::kSmallWidth, {1, 1});
  const int64_t half = 2 * exact.conventions.latents * testing::kSmallWidth * 2;  // of two matrices in f32
  const auto adam_bytes = [](const TrainerFootprint& footprint) {
    int64_t bytes = 0;
    for (const SegmentUse& use : footprint.segments) bytes += use.segment == "adam" ? use.allocated_bytes : 0;
    return bytes;
  };
  EXPECT_NEAR(static_cast<double>(adam_bytes(whole) - adam_bytes(halved)), static_cast<double>(half), 256.0)
      << "but for the alignment of buffers";
  EXPECT_EQ(whole.checkpoint_bytes - halved.checkpoint_bytes, half);
}

// Of a device that is not there: no screen, no candidates for the auxiliary loss, whatever this processor
// has.
TEST(TrainingPlanOfADevice, CountsWhatTheDeviceTakesWithoutOne) {
  TrainerConfig config = config_of("topk", {{1, 1}});
  config.conventions.latents = 4096;
  config.conventions.encoder_precision = kernels::Precision::kBF16;
  const auto bytes_in = [&](const char* segment, Device device) {
    int64_t bytes = 0;
    for (const SegmentUse& use : trainer_footprint(config, 64, {1, 1}, 0, device).segments) {
      if (use.segment == segment) bytes += use.allocated_bytes;
    }
    return bytes;
  };
  constexpr Device kCuda{DeviceKind::kCuda, 0};
  EXPECT_EQ(bytes_in("weights", kCuda), bytes_in("weights", kCpu));
  EXPECT_EQ(bytes_in("adam", kCuda), bytes_in("adam", kCpu));
  EXPECT_GT(bytes_in("watched latents", kCpu), 0);
  EXPECT_EQ(bytes_in("watched latents", kCuda), 0);
  // Main and auxiliary encoder in two bytes an element, and what AuxK gathers of each latent.
  EXPECT_EQ(bytes_in("packed encoder", kCuda), 2 * 4096 * 64 * 2 + 4096 * (4 + 4));
}

struct Sent {
  Traffic dictionary, data, world;
};

Traffic operator-(const Traffic& after, const Traffic& before) {
  return {after.all_reduce - before.all_reduce, after.reduce_scatter - before.reduce_scatter,
          after.all_gather - before.all_gather, after.broadcast - before.broadcast,
          after.all_to_all - before.all_to_all, after.shift - before.shift};
}

void expect_equal(const Traffic& predicted, const Traffic& counted, const std::string& where) {
  EXPECT_EQ(predicted.all_reduce, counted.all_reduce) << where;
  EXPECT_EQ(predicted.reduce_scatter, counted.reduce_scatter) << where;
  EXPECT_EQ(predicted.all_gather, counted.all_gather) << where;
  EXPECT_EQ(predicted.broadcast, counted.broadcast) << where;
  EXPECT_EQ(predicted.all_to_all, counted.all_to_all) << where;
  EXPECT_EQ(predicted.shift, counted.shift) << where;
}

// Runs some steps, then hands the traffic of each of the next ones to `check(rank, sent, report)`.
template <typename Check>
void count_steps(const TrainerConfig& config, const Mesh& mesh, bool with_variance, Check check) {
  run_thread_ranks(mesh.shape.data * mesh.shape.dictionary, [&](World world) {
    Grid grid = make_grid(*world.data, mesh.shape);
    Memory memory;
    SyntheticSource source(testing::small_synthetic(), testing::kSmallSourceSeed, memory);
    Trainer trainer(config, testing::kSmallWidth, world, grid, memory);
    trainer.initialize(source);
    for (int step = 0; step < 3; ++step) (void)trainer.step(source);
    for (int step = 0; step < 3; ++step) {
      const Sent before{grid.dictionary->traffic(), grid.data->traffic(), world.data->traffic()};
      const StepReport report = trainer.step(source, with_variance);
      check(world.rank(),
            Sent{grid.dictionary->traffic() - before.dictionary, grid.data->traffic() - before.data,
                 world.data->traffic() - before.world},
            report);
    }
  });
}

// Without dead latents; with replicas that send codes each has all latents, so that it sends k of a row.
TEST(StepTraffic, IsExactWhereSizesDoNotDependOnActivations) {
  for (const char* const preset : {"topk", "dl_topk", "saelens_topk", "standard"}) {
    for (const bool with_variance : {false, true}) {
      for (Mesh mesh : std::vector<Mesh>{{{1, 1}},
                                         {{1, 2}},
                                         {{2, 1}},
                                         {{1, 3}},
                                         {{2, 1}, DataParallel::kGradients},
                                         {{2, 2}, DataParallel::kGradients},
                                         {{3, 1}, DataParallel::kGradients}}) {
        const bool codes = mesh.shape.data > 1 && mesh.way == DataParallel::kCodes;
        if (codes && std::string(preset) == "standard") continue;
        TrainerConfig config = config_of(preset, mesh);
        config.conventions.dead_feature_threshold_tokens = int64_t{1} << 40;
        config.conventions.threshold_start_step = 0;
        count_steps(config, mesh, with_variance, [&](int rank, const Sent& sent, const StepReport& report) {
          const StepTraffic predicted = predict_step_traffic(
              config, testing::kSmallWidth, mesh.shape, rank,
              {.measures_variance = with_variance, .second_round_rows = report.second_round_rows});
          const std::string where = std::string(preset) + " at " + std::to_string(mesh.shape.data) + "x" +
                                    std::to_string(mesh.shape.dictionary);
          expect_equal(predicted.dictionary.sent, sent.dictionary, where + " dictionary");
          expect_equal(predicted.data.sent, sent.data, where + " data");
          expect_equal(predicted.world.sent, sent.world, where + " world");
        });
      }
    }
  }
}

TEST(StepTraffic, IsExactInTheFixedOrderOfSums) {
  for (const char* const preset : {"topk", "standard"}) {
    const Mesh mesh{{1, 3}};
    TrainerConfig config = config_of(preset, mesh, 12);
    config.conventions.dead_feature_threshold_tokens = int64_t{1} << 40;
    count_steps(config, mesh, false, [&](int rank, const Sent& sent, const StepReport& report) {
      const StepTraffic predicted = predict_step_traffic(config, testing::kSmallWidth, mesh.shape, rank,
                                                         {.second_round_rows = report.second_round_rows});
      expect_equal(predicted.dictionary.sent, sent.dictionary, preset);
      expect_equal(predicted.world.sent, sent.world, preset);
    });
  }
}

// Two auxiliary latents of a row are so few that the first round of their selection sends all.
TEST(StepTraffic, IsExactWithDeadLatents) {
  for (const Mesh& mesh : std::vector<Mesh>{{{1, 2}}, {{2, 1}}, {{2, 1}, DataParallel::kGradients}}) {
    TrainerConfig config = config_of("topk", mesh);
    config.conventions.auxk = 2;
    count_steps(config, mesh, false, [&](int rank, const Sent& sent, const StepReport& report) {
      ASSERT_GE(report.dead_latents, 2);
      const StepTraffic predicted = predict_step_traffic(
          config, testing::kSmallWidth, mesh.shape, rank,
          {.dead_latents = report.dead_latents, .second_round_rows = report.second_round_rows});
      expect_equal(predicted.dictionary.sent, sent.dictionary, "dictionary");
      expect_equal(predicted.data.sent, sent.data, "data");
    });
  }
}

// Which rank has how many of the codes depends on the activations; how many there are does not.
TEST(StepTraffic, OfBatchTopKIsExactOverAllRanks) {
  for (const Mesh& mesh : std::vector<Mesh>{{{1, 1}}, {{1, 2}}, {{2, 1}}, {{2, 2}}}) {
    TrainerConfig config = config_of("batchtopk", mesh);
    config.conventions.k = 4;  // a whole number on each shard
    config.conventions.dead_feature_threshold_tokens = int64_t{1} << 40;
    std::mutex mutex;
    int64_t predicted_sum = 0;
    int64_t counted_sum = 0;
    int64_t steps = 0;
    count_steps(config, mesh, false, [&](int rank, const Sent& sent, const StepReport& report) {
      const StepTraffic predicted = predict_step_traffic(config, testing::kSmallWidth, mesh.shape, rank, {});
      const std::lock_guard lock(mutex);
      expect_equal(predicted.dictionary.sent, sent.dictionary, "dictionary");
      EXPECT_EQ(predicted.data.sent.all_reduce, sent.data.all_reduce);
      EXPECT_EQ(report.l0, 4.0);
      // A wrong prefilter costs two scalars of 8 bytes to each other rank, never more.
      const int64_t tries = sent.world.total() - predicted.world.sent.total();
      const int64_t a_try = 2 * 8 * (mesh.shape.data * mesh.shape.dictionary - 1);
      EXPECT_GE(tries, 0);
      EXPECT_EQ(a_try == 0 ? tries : tries % a_try, 0);
      predicted_sum += predicted.data.sent.all_gather;
      counted_sum += sent.data.all_gather;
      ++steps;
    });
    EXPECT_EQ(predicted_sum, counted_sum) << mesh.shape.data << "x" << mesh.shape.dictionary;
    EXPECT_GT(steps, 0);
  }
}

TEST(StepTraffic, OfThePenaltyIsCloseOverAllRanks) {
  for (const MeshShape shape : {MeshShape{1, 2}, MeshShape{1, 4}, MeshShape{2, 2}}) {
    const Mesh mesh{shape};
    TrainerConfig config = config_of("ortsae", mesh);
    config.conventions.dead_feature_threshold_tokens = int64_t{1} << 40;
    std::mutex mutex;
    double predicted_sum = 0;
    double counted_sum = 0;
    count_steps(config, mesh, false, [&](int rank, const Sent& sent, const StepReport&) {
      const StepTraffic predicted =
          predict_step_traffic(config, testing::kSmallWidth, shape, rank, {.evaluates_penalty = true});
      const std::lock_guard lock(mutex);
      predicted_sum += static_cast<double>(predicted.dictionary.sent.all_to_all);
      counted_sum += static_cast<double>(sent.dictionary.all_to_all);
    });
    EXPECT_NEAR(predicted_sum / counted_sum, 1.0, 0.15) << shape.data << "x" << shape.dictionary;
  }
}

TEST(MeshPlan, AddsUpAndPrefersWhatFits) {
  TrainerConfig config = config_of("topk", {{1, 8}});
  config.conventions.latents = 65536;
  config.conventions.k = 64;
  config.batch_tokens = 16384;
  DeviceRates rates = stated_rates("h100");
  const MeshPlan sharded = plan_mesh(config, 4096, {.data = 1, .dictionary = 8}, 0, rates);
  const MeshPlan alone = plan_mesh(config, 4096, {.data = 1, .dictionary = 1}, 0, rates);
  EXPECT_TRUE(sharded.fits);
  EXPECT_LT(sharded.footprint.memory_bytes, alone.footprint.memory_bytes);
  EXPECT_EQ(sharded.footprint.checkpoint_bytes, alone.footprint.checkpoint_bytes);
  EXPECT_EQ(alone.sent_bytes, 0.0);
  EXPECT_GT(sharded.time.wire, 0.0);
  EXPECT_NEAR(alone.time.products, 8.0 * sharded.time.products, 1e-9);
  // 2 d m B at 600 Tflop/s and little for the codes.
  EXPECT_NEAR(alone.time.products, 2.0 * 4096 * 65536 * 16384 / (989e12 * 0.6), 1e-4);
  rates.capacity_bytes = sharded.footprint.memory_bytes + 10;
  EXPECT_TRUE(plan_mesh(config, 4096, {.data = 1, .dictionary = 8}, 10, rates).fits);
  EXPECT_FALSE(plan_mesh(config, 4096, {.data = 1, .dictionary = 8}, 11, rates).fits);
}

TEST(MeshPlan, ThePenaltyIsAverageOverItsPeriod) {
  TrainerConfig config = config_of("ortsae", {{1, 2}});
  const MeshPlan each = plan_mesh(config, 64, {.data = 1, .dictionary = 2}, 0, stated_rates("h100"));
  config.conventions.orthogonality_period = 5;
  const MeshPlan fifth = plan_mesh(config, 64, {.data = 1, .dictionary = 2}, 0, stated_rates("h100"));
  EXPECT_GT(each.penalty_bytes, 0);
  EXPECT_EQ(each.penalty_bytes, fifth.penalty_bytes);
  const auto base = static_cast<double>(each.traffic.sent_bytes());
  EXPECT_NEAR((each.sent_bytes - base) / 5.0, fifth.sent_bytes - base, 1e-6);
  EXPECT_NEAR(each.time.penalty / 5.0, fifth.time.penalty, 1e-15);
}

TEST(MeshPlan, AllMeshesOfAWorld) {
  std::vector<std::pair<int, int>> found;
  for (const MeshShape mesh : meshes_of(6)) found.emplace_back(mesh.data, mesh.dictionary);
  EXPECT_EQ(found, (std::vector<std::pair<int, int>>{{1, 6}, {2, 3}, {3, 2}, {6, 1}}));
}

}  // namespace
}  // namespace orthant::sae
