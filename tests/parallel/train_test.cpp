// Training over the ranks of a job against the same training by one rank alone: to the bit in deterministic
// mode, close in the fast one; and nobody holds or computes more than a share.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "tests/support/mpi_world.h"
#include "tests/support/small_training.h"

namespace orthant::testing {
namespace {

using sae::DataParallel;
using sae::Trainer;

constexpr int kVirtualShards = 12;

// A trainer with all that it needs, on the given ranks.
struct Training {
  Training(const sae::TrainerConfig& config, World& ranks, MeshShape mesh)
      : grid(make_grid(*ranks.data, mesh)),
        source(small_synthetic(), kSmallSourceSeed, memory),
        trainer(config, kSmallWidth, ranks, grid, memory) {
    trainer.initialize(source);
  }
  Training(const Training&) = delete;
  Training& operator=(const Training&) = delete;
  ~Training() {
    grid.dictionary->close();
    grid.data->close();
  }
  void run(int64_t steps) {
    while (trainer.steps_done() < steps) reports.push_back(trainer.step(source, true));
  }
  [[nodiscard]] int64_t bytes(std::string_view segment) const {
    for (const SegmentUse& use : memory.segments()) {
      if (use.segment == segment) return use.allocated_bytes;
    }
    return 0;
  }

  Memory memory;
  Grid grid;
  sae::SyntheticSource source;
  Trainer trainer;
  std::vector<sae::StepReport> reports;
};

// One rank's training of the whole dictionary, without MPI.
struct Alone {
  explicit Alone(const sae::TrainerConfig& config)
      : world(make_self_world()), training(config, world, {1, 1}) {}
  World world;
  Training training;
};

// Every way to lay the job out.
std::vector<MeshShape> meshes() {
  std::vector<MeshShape> shapes;
  for (int data = 1; data <= world().size(); ++data) {
    if (world().size() % data == 0) shapes.push_back({data, world().size() / data});
  }
  return shapes;
}

std::string name_of(const TrainingMesh& mesh) {
  return std::to_string(mesh.shape.data) + "x" + std::to_string(mesh.shape.dictionary) + " " +
         std::string(sae::name_of(mesh.way));
}

// How many of this rank's bytes of the state differ from those of the whole state.
int64_t different_bytes(Trainer& own, Trainer& whole) {
  const std::vector<TensorSlice> all = whole.state();
  int64_t different = 0;
  for (const TensorSlice& slice : own.state()) {
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const TensorSlice& other) { return other.name == slice.name; });
    if (found == all.end() || found->shape != slice.shape) return -1;
    int64_t row_bytes = bytes_of(slice.dtype);
    for (size_t i = 1; i < slice.shape.size(); ++i) row_bytes *= slice.shape[i];
    const auto* mine = static_cast<const char*>(slice.data);
    const auto* theirs = static_cast<const char*>(found->data) + slice.first_row * row_bytes;
    for (int64_t b = 0; b < slice.rows * row_bytes; ++b) different += mine[b] != theirs[b];
  }
  return different;
}

// |parameters - those of `whole`| / |those of `whole`|, over the shards of all ranks.
double relative_difference(Training& own, const sae::Dictionary& whole) {
  const sae::Dictionary& part = own.trainer.dictionary();
  std::array<double, 2> sums{};
  const auto add = [&](const auto& mine, const auto& theirs) {
    for (int64_t i = 0; i < mine.elements(); ++i) {
      const double off = static_cast<double>(mine.data[i]) - theirs.data[i];
      sums[0] += off * off;
      sums[1] += static_cast<double>(theirs.data[i]) * theirs.data[i];
    }
  };
  const Share slice = part.slice;
  add(part.encoder.view(), whole.encoder.view().rows(slice.first, slice.count));
  add(part.decoder.view(), whole.decoder.view().rows(slice.first, slice.count));
  add(part.encoder_bias.view(), whole.encoder_bias.view().rows(slice.first, slice.count));
  add(part.decoder_bias.view(), whole.decoder_bias.view());
  Stream stream;
  world().data->all_reduce(sums.data(), 2, Dtype::kF64, ReduceOp::kSum, stream);
  return std::sqrt(sums[0] / sums[1]);
}

// For each row and latent of the first batch whether it is selected [rows * latents], over all of `ranks`.
std::vector<int32_t> selected(Training& training, const sae::TrainerConfig& config, World& ranks) {
  const sae::Dictionary& d = training.trainer.dictionary();
  const Share rows = share_of(kSmallBatch, training.grid.data->size(), training.grid.data->rank());
  Memory memory;
  Stream stream;
  Tensor<float, 2> x(memory, "test", {rows.count, kSmallWidth});
  training.source.read(Split::kTrain, rows.first, x.view(), nullptr);
  sae::InputScaler scaler(memory, "test", d, x.view().shape[0]);
  scaler.prepare(stream);
  scaler.scale(x.view(), stream);
  sae::ShardEncoder encoder(memory, d, rows.count, d.k, 0, *training.grid.dictionary, config.virtual_shards);
  encoder.pack(d, stream);
  encoder.center(d, x.view(), x.view(), stream);
  const bool by_batch = d.architecture == sae::Architecture::kBatchTopK;
  sae::BatchTopKEncoder batch(memory, rows.count, by_batch ? 4 * d.k * rows.count : 0);
  kernels::Codes by_row(memory, rows.count, d.k * rows.count);
  kernels::CodesView codes = by_row.view();
  if (by_batch) {
    batch.encode(x.view(), rows.first, d.k * kSmallBatch, kSmallBatch, d, encoder, *ranks.data, stream);
    codes = batch.codes(rows.count);
  } else {
    encoder.topk(x.view(), d, codes, stream);
  }
  std::vector<int32_t> chosen(static_cast<size_t>(kSmallBatch * d.latents), 0);
  for (int64_t r = 0; r < rows.count; ++r) {
    for (int64_t e = codes.row_offsets.data[r]; e < codes.row_offsets.data[r + 1]; ++e) {
      chosen[static_cast<size_t>((rows.first + r) * d.latents + codes.latents.data[e])] = 1;
    }
  }
  ranks.data->all_reduce(chosen.data(), static_cast<int64_t>(chosen.size()), Dtype::kI32, ReduceOp::kMax,
                         stream);
  return chosen;
}

class TrainingOfJob : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Presets, TrainingOfJob, ::testing::Values("topk", "batchtopk", "ortsae"),
                         [](const auto& preset) { return preset.param; });

TEST_P(TrainingOfJob, HasTheBitsOfOneRankWhenDeterministic) {
  constexpr int64_t kSteps = 20;
  Stream stream;
  Alone alone(small_training(GetParam(), {}, kVirtualShards, kSteps));
  alone.training.run(kSteps);
  EXPECT_TRUE(std::any_of(alone.training.reports.begin(), alone.training.reports.end(),
                          [](const sae::StepReport& report) { return report.auxiliary > 0.0; }))
      << "the auxiliary loss takes part";
  const std::string sha256 =
      weights_sha256(alone.training.trainer.dictionary(), *alone.training.grid.dictionary, stream);
  for (const MeshShape shape : meshes()) {
    const TrainingMesh mesh{shape};
    SCOPED_TRACE(name_of(mesh));
    Training job(small_training(GetParam(), mesh, kVirtualShards, kSteps), world(), shape);
    job.run(kSteps);
    EXPECT_EQ(weights_sha256(job.trainer.dictionary(), *job.grid.dictionary, stream), sha256);
    EXPECT_EQ(different_bytes(job.trainer, alone.training.trainer), 0);
    for (size_t i = 0; i < job.reports.size(); ++i) {
      EXPECT_EQ(job.reports[i].loss, alone.training.reports[i].loss) << "step " << i;
    }
  }
}

TEST_P(TrainingOfJob, IsCloseToThatOfOneRank) {
  constexpr int64_t kSteps = 50;
  const sae::TrainerConfig config = small_training(GetParam(), {}, 0, kSteps);
  Alone alone(config);
  const std::vector<int32_t> expected = selected(alone.training, config, alone.world);
  alone.training.run(kSteps);
  for (const MeshShape shape : meshes()) {
    for (const DataParallel way : {DataParallel::kCodes, DataParallel::kGradients}) {
      if (way == DataParallel::kGradients && shape.data == 1) continue;
      const TrainingMesh mesh{shape, way};
      SCOPED_TRACE(name_of(mesh));
      const sae::TrainerConfig own = small_training(GetParam(), mesh, 0, kSteps);
      Training job(own, world(), shape);
      EXPECT_EQ(selected(job, own, world()), expected);
      job.run(kSteps);
      const double loss = alone.training.reports.back().loss;
      EXPECT_NEAR(job.reports.back().loss, loss, 1e-4 * loss);
      EXPECT_LE(relative_difference(job, alone.training.trainer.dictionary()), 1e-3);
    }
  }
}

TEST_P(TrainingOfJob, DealsMemoryAndWorkOutEvenly) {
  constexpr int64_t kSteps = 2;
  const auto config_at = [](const TrainingMesh& mesh) {
    sae::TrainerConfig config = small_training(GetParam(), mesh, 0, kSteps);
    config.conventions.auxk_alpha = 0.0;  // dead latents need not be dealt evenly
    return config;
  };
  Alone alone(config_at({}));
  alone.training.run(kSteps);
  for (const MeshShape shape : meshes()) {
    const TrainingMesh mesh{shape, shape.data == 1 ? DataParallel::kCodes : DataParallel::kGradients};
    SCOPED_TRACE(name_of(mesh));
    Training job(config_at(mesh), world(), shape);
    job.run(kSteps);
    const int64_t ranks = world().size();
    const int64_t latents = alone.training.trainer.dictionary().latents;
    const int64_t slice = (latents + shape.dictionary - 1) / shape.dictionary;
    // Encoder and decoder row and bias of each latent, and one decoder bias.
    EXPECT_LE(job.bytes("weights"), 4 * (slice * (2 * kSmallWidth + 1) + kSmallWidth));
    const int64_t owned = (slice + shape.data - 1) / shape.data;
    EXPECT_LE(job.bytes("adam"), 2 * 4 * (owned * (2 * kSmallWidth + 1) + kSmallWidth));
    const int64_t rows = (kSmallBatch + shape.data - 1) / shape.data;
    EXPECT_LE(job.trainer.encoded_products(), rows * slice);
    EXPECT_EQ(world().control->sum(job.trainer.encoded_products()),
              alone.training.trainer.encoded_products());
    const int64_t pairs = alone.training.trainer.compared_pairs();
    EXPECT_EQ(world().control->sum(job.trainer.compared_pairs()), pairs);
    // Dealt by whole rows of a chunk, three chunks of 44 latents.
    EXPECT_LE(job.trainer.compared_pairs(), pairs / ranks + 43);
    EXPECT_EQ(pairs > 0, GetParam() == std::string_view("ortsae"));
  }
}

}  // namespace
}  // namespace orthant::testing
