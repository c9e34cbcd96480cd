// Sharded equals unsharded: the same training at several meshes, close in the fast mode and to the bit in the
// deterministic one; and an interrupted training equals an uninterrupted one.

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <cstring>
#include <map>
#include <mutex>

#include "runtime/comm/world.h"
#include "tests/support/small_training.h"

namespace orthant::sae {
namespace {

using Mesh = testing::TrainingMesh;

struct Outcome {
  std::vector<float> encoder;
  std::vector<float> decoder;
  std::vector<float> decoder_bias;
  double threshold = 0.0;
  std::vector<StepReport> reports;
  std::string sha256;
  std::map<std::string, std::vector<char>> state;  // by name, whole tensors
  int64_t largest_slice = 0;
  int64_t most_products = 0;
  int64_t most_compared = 0;
};

// Puts this rank's rows of every tensor into the whole ones.
void collect_state(Trainer& trainer, std::map<std::string, std::vector<char>>& whole) {
  for (const TensorSlice& slice : trainer.state()) {
    int64_t row_bytes = bytes_of(slice.dtype);
    for (size_t i = 1; i < slice.shape.size(); ++i) row_bytes *= slice.shape[i];
    std::vector<char>& all = whole[slice.name];
    all.resize(static_cast<size_t>(row_bytes * slice.shape[0]));
    std::memcpy(all.data() + slice.first_row * row_bytes, slice.data,
                static_cast<size_t>(slice.rows * row_bytes));
  }
}

void restore_state(Trainer& trainer, const std::map<std::string, std::vector<char>>& whole) {
  for (const TensorSlice& slice : trainer.state()) {
    int64_t row_bytes = bytes_of(slice.dtype);
    for (size_t i = 1; i < slice.shape.size(); ++i) row_bytes *= slice.shape[i];
    std::memcpy(slice.data, whole.at(slice.name).data() + slice.first_row * row_bytes,
                static_cast<size_t>(slice.rows * row_bytes));
  }
  trainer.after_load();
}

Outcome train(const std::string& preset, const Mesh& mesh, int virtual_shards, int64_t steps,
              int64_t stop_after = 0, const std::map<std::string, std::vector<char>>* from = nullptr) {
  Outcome outcome;
  std::mutex mutex;
  run_thread_ranks(mesh.shape.data * mesh.shape.dictionary, [&](World world) {
    // Steps this small wait for threads more than they compute, where other tests run beside.
    constexpr int64_t kManySteps = 100;
    if (steps > kManySteps) omp_set_num_threads(1);
    Grid grid = make_grid(*world.data, mesh.shape);
    Memory memory;
    SyntheticSource source(testing::small_synthetic(), testing::kSmallSourceSeed, memory);
    Trainer trainer(testing::small_training(preset, mesh, virtual_shards, steps), testing::kSmallWidth, world,
                    grid, memory);
    if (from == nullptr) {
      trainer.initialize(source);
    } else {
      restore_state(trainer, *from);
    }
    std::vector<StepReport> reports;
    const int64_t last = stop_after > 0 ? stop_after : steps;
    while (trainer.steps_done() < last) reports.push_back(trainer.step(source, true));
    Stream stream;
    const std::string sha256 = weights_sha256(trainer.dictionary(), *grid.dictionary, stream);

    const std::lock_guard lock(mutex);
    const Dictionary& d = trainer.dictionary();
    const auto place = [&](std::vector<float>& whole, const Tensor<float, 2>& part) {
      whole.resize(static_cast<size_t>(d.latents * d.d_model));
      std::copy_n(part.data(), part.view().elements(), whole.begin() + d.slice.first * d.d_model);
    };
    place(outcome.encoder, d.encoder);
    place(outcome.decoder, d.decoder);
    outcome.decoder_bias.assign(d.decoder_bias.data(), d.decoder_bias.data() + d.d_model);
    outcome.threshold = d.threshold;
    outcome.largest_slice = std::max(outcome.largest_slice, d.slice.count);
    outcome.most_products = std::max(outcome.most_products, trainer.encoded_products());
    outcome.most_compared = std::max(outcome.most_compared, trainer.compared_pairs());
    collect_state(trainer, outcome.state);
    if (world.rank() != 0) return;
    outcome.reports = std::move(reports);
    outcome.sha256 = sha256;
  });
  return outcome;
}

double relative_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double off = 0.0;
  double size = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    off += std::pow(static_cast<double>(a[i]) - b[i], 2);
    size += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(off / std::max(size, 1e-30));
}

bool is_dense(const std::string& preset) {
  return preset == "standard" || preset == "crosscoder_l1";
}

const std::vector<std::string> kPresets = {
    "ortsae", "topk", "dl_batchtopk", "dl_topk", "standard", "crosscoder_batchtopk", "crosscoder_l1"};

class Preset : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, Preset, ::testing::ValuesIn(kPresets),
                         [](const ::testing::TestParamInfo<std::string>& preset) { return preset.param; });

TEST_P(Preset, IsCloseAtEveryMesh) {
  const Outcome alone = train(GetParam(), {{1, 1}}, 0, 50);
  EXPECT_LT(alone.reports.back().reconstruction, alone.reports.front().reconstruction);
  std::vector<Mesh> meshes = {{{1, 2}}, {{1, 3}}};
  if (!is_dense(GetParam())) {
    meshes.insert(meshes.end(), {{{2, 1}}, {{2, 2}}});
  }
  meshes.insert(meshes.end(), {{{2, 1}, DataParallel::kGradients}, {{2, 2}, DataParallel::kGradients}});
  for (const Mesh& mesh : meshes) {
    SCOPED_TRACE(std::to_string(mesh.shape.data) + "x" + std::to_string(mesh.shape.dictionary) + " " +
                 std::string(name_of(mesh.way)));
    const Outcome sharded = train(GetParam(), mesh, 0, 50);
    EXPECT_NEAR(sharded.reports.back().loss, alone.reports.back().loss, 1e-4 * alone.reports.back().loss);
    EXPECT_LE(relative_difference(sharded.encoder, alone.encoder), 1e-3);
    EXPECT_LE(relative_difference(sharded.decoder, alone.decoder), 1e-3);
    EXPECT_LE(relative_difference(sharded.decoder_bias, alone.decoder_bias), 1e-3);
    EXPECT_EQ(sharded.reports[0].l0, alone.reports[0].l0);
    EXPECT_EQ(sharded.reports[0].dead_latents, alone.reports[0].dead_latents);
  }
}

TEST_P(Preset, IsTheSameToTheBitWhenDeterministic) {
  const Outcome alone = train(GetParam(), {{1, 1}}, 12, 20);
  std::vector<Mesh> meshes = {{{1, 1}, DataParallel::kCodes, 2}, {{1, 2}}, {{1, 3}}, {{1, 4}}};
  if (!is_dense(GetParam())) meshes.insert(meshes.end(), {{{2, 1}}, {{2, 2}}, {{3, 1}}, {{4, 1}}});
  for (const Mesh& mesh : meshes) {
    SCOPED_TRACE(std::to_string(mesh.shape.data) + "x" + std::to_string(mesh.shape.dictionary));
    const Outcome sharded = train(GetParam(), mesh, 12, 20);
    EXPECT_EQ(sharded.sha256, alone.sha256);
    EXPECT_EQ(sharded.threshold, alone.threshold);
    EXPECT_EQ(sharded.state, alone.state);
    for (size_t i = 0; i < alone.reports.size(); ++i) {
      EXPECT_EQ(sharded.reports[i].loss, alone.reports[i].loss) << "step " << i;
      EXPECT_EQ(sharded.reports[i].variance, alone.reports[i].variance) << "step " << i;
      EXPECT_EQ(sharded.reports[i].gradient_norm, alone.reports[i].gradient_norm) << "step " << i;
    }
    // Nobody holds or computes more than a fair share of the dictionary's part of the work.
    const int64_t shards = mesh.shape.dictionary;
    const int64_t ranks = shards * mesh.shape.data;
    EXPECT_LE(sharded.largest_slice, (alone.largest_slice + shards - 1) / shards);
    if (alone.reports.back().dead_latents == 0) {
      EXPECT_LE(sharded.most_products, (alone.most_products + ranks - 1) / ranks);
    }
  }
}

TEST_P(Preset, ContinuesAsIfNeverInterrupted) {
  for (const Mesh& mesh : {Mesh{{1, 1}}, Mesh{{1, 2}}, Mesh{{2, 1}, DataParallel::kGradients}}) {
    const Outcome whole = train(GetParam(), mesh, 0, 20);
    const Outcome first = train(GetParam(), mesh, 0, 20, 9);
    const Outcome second = train(GetParam(), mesh, 0, 20, 0, &first.state);
    EXPECT_EQ(second.sha256, whole.sha256);
    EXPECT_EQ(second.state, whole.state);
    EXPECT_EQ(second.reports.back().loss, whole.reports.back().loss);
  }
}

TEST(Trainer, ContinuesToTheBitAtAnotherMeshWhenDeterministic) {
  const Outcome whole = train("ortsae", {{1, 1}}, 12, 20);
  const Outcome first = train("ortsae", {{1, 4}}, 12, 20, 9);
  const Outcome second = train("ortsae", {{2, 1}}, 12, 20, 0, &first.state);
  EXPECT_EQ(second.state, whole.state);
}

TEST(Trainer, MicroBatchesEqualOneBatch) {
  const Outcome one = train("ortsae", {{1, 2}}, 0, 10);
  const Outcome parts = train("ortsae", {{1, 2}, DataParallel::kCodes, 1, 5}, 0, 10);
  EXPECT_EQ(parts.state, one.state);
}

Mesh in_bf16(MeshShape shape, DataParallel way = DataParallel::kCodes) {
  return {.shape = shape, .way = way, .precision = kernels::Precision::kBF16};
}

class Bf16 : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Presets, Bf16, ::testing::Values("ortsae", "topk", "standard"),
                         [](const ::testing::TestParamInfo<std::string>& preset) { return preset.param; });

TEST_P(Bf16, SelectsTheSameLatentsAtEveryMesh) {
  const Outcome alone = train(GetParam(), in_bf16({1, 1}), 0, 1);
  // After one step a latent has fired in it or not.
  const auto& fired = alone.state.at("tokens_since_fired");
  for (const MeshShape shape : {MeshShape{1, 2}, MeshShape{1, 3}, MeshShape{2, 1}, MeshShape{2, 2}}) {
    if (is_dense(GetParam()) && shape.data > 1) continue;
    const Outcome sharded = train(GetParam(), in_bf16(shape), 0, 1);
    EXPECT_EQ(sharded.state.at("tokens_since_fired"), fired) << shape.data << "x" << shape.dictionary;
    EXPECT_EQ(sharded.reports[0].l0, alone.reports[0].l0);
    EXPECT_EQ(sharded.threshold, alone.threshold);
    EXPECT_NEAR(sharded.reports[0].squared_error, alone.reports[0].squared_error,
                1e-5 * alone.reports[0].squared_error);
  }
}

TEST_P(Bf16, IsTheSameToTheBitWhenDeterministic) {
  const Outcome alone = train(GetParam(), in_bf16({1, 1}), 12, 20);
  std::vector<MeshShape> shapes = {{1, 2}, {1, 3}};
  if (!is_dense(GetParam())) shapes.push_back({2, 2});
  for (const MeshShape& shape : shapes) {
    const Outcome sharded = train(GetParam(), in_bf16(shape), 12, 20);
    EXPECT_EQ(sharded.state, alone.state) << shape.data << "x" << shape.dictionary;
    EXPECT_EQ(sharded.reports.back().loss, alone.reports.back().loss);
  }
}

TEST_P(Bf16, ContinuesAsIfNeverInterrupted) {
  for (const Mesh& mesh : {in_bf16({1, 1}), in_bf16({1, 2}), in_bf16({2, 1}, DataParallel::kGradients)}) {
    const Outcome whole = train(GetParam(), mesh, 0, 20);
    const Outcome first = train(GetParam(), mesh, 0, 20, 9);
    const Outcome second = train(GetParam(), mesh, 0, 20, 0, &first.state);
    EXPECT_EQ(second.state, whole.state);
  }
}

TEST_P(Bf16, LearnsAsMuchAsF32) {
  const auto explained = [](const Outcome& outcome) {
    double sum = 0.0;
    for (size_t i = outcome.reports.size() - 20; i < outcome.reports.size(); ++i) {
      sum += 1.0 - outcome.reports[i].squared_error / outcome.reports[i].variance;
    }
    return sum / 20.0;
  };
  const Outcome exact = train(GetParam(), {{1, 1}}, 0, 300),
                found = train(GetParam(), in_bf16({1, 1}), 0, 300);
  EXPECT_NE(found.sha256, exact.sha256);
  EXPECT_GT(explained(exact), 0.5);
  EXPECT_NEAR(explained(found), explained(exact), 0.01);
}

Mesh with_bf16_moments(MeshShape shape, DataParallel way = DataParallel::kCodes) {
  return {.shape = shape, .way = way, .second_moment = "bf16"};
}

class Bf16Moments : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Presets, Bf16Moments, ::testing::Values("ortsae", "topk", "dl_topk", "standard"),
                         [](const ::testing::TestParamInfo<std::string>& preset) { return preset.param; });

TEST_P(Bf16Moments, AreTheSameToTheBitWhenDeterministic) {
  const Outcome alone = train(GetParam(), with_bf16_moments({1, 1}), 12, 20);
  const Outcome exact = train(GetParam(), {{1, 1}}, 12, 20);
  EXPECT_NE(alone.sha256, exact.sha256);
  for (const char* moment : {"adam.encoder_v", "adam.decoder_v"}) {
    EXPECT_EQ(2 * alone.state.at(moment).size(), exact.state.at(moment).size());
  }
  std::vector<Mesh> meshes = {with_bf16_moments({1, 2}), with_bf16_moments({1, 3})};
  if (!is_dense(GetParam())) {
    meshes.push_back(with_bf16_moments({2, 1}));
    meshes.push_back(with_bf16_moments({2, 2}));
  }
  for (const Mesh& mesh : meshes) {
    const Outcome sharded = train(GetParam(), mesh, 12, 20);
    EXPECT_EQ(sharded.sha256, alone.sha256) << mesh.shape.data << "x" << mesh.shape.dictionary;
    EXPECT_EQ(sharded.state, alone.state) << mesh.shape.data << "x" << mesh.shape.dictionary;
  }
}

TEST_P(Bf16Moments, ContinueAsIfNeverInterrupted) {
  for (const Mesh& mesh : {with_bf16_moments({1, 1}), with_bf16_moments({1, 2}),
                           with_bf16_moments({2, 1}, DataParallel::kGradients)}) {
    const Outcome whole = train(GetParam(), mesh, 0, 20);
    const Outcome first = train(GetParam(), mesh, 0, 20, 9);
    const Outcome second = train(GetParam(), mesh, 0, 20, 0, &first.state);
    EXPECT_EQ(second.state, whole.state);
  }
}

TEST_P(Bf16Moments, ReachTheLossOfF32) {
  const auto last_loss = [](const Outcome& outcome) {
    double sum = 0.0;
    for (size_t i = outcome.reports.size() - 20; i < outcome.reports.size(); ++i) {
      sum += outcome.reports[i].loss / 20.0;
    }
    return sum;
  };
  const Outcome exact = train(GetParam(), {{1, 1}}, 0, 300);
  const Outcome found = train(GetParam(), with_bf16_moments({1, 1}), 0, 300);
  EXPECT_LT(last_loss(exact), 0.7 * exact.reports.front().loss);
  EXPECT_NEAR(last_loss(found), last_loss(exact), 0.01 * last_loss(exact));
}

Mesh whitened(MeshShape shape, DataParallel way = DataParallel::kCodes) {
  return {.shape = shape, .way = way, .input_scaling = "whiten"};
}

TEST(Whitened, IsTheSameToTheBitWhenDeterministic) {
  const Outcome alone = train("ortsae", whitened({1, 1}), 12, 20);
  EXPECT_NE(alone.sha256, train("ortsae", {{1, 1}}, 12, 20).sha256);
  for (const MeshShape& shape : {MeshShape{1, 2}, MeshShape{1, 3}, MeshShape{2, 2}}) {
    EXPECT_EQ(train("ortsae", whitened(shape), 12, 20).state, alone.state)
        << shape.data << "x" << shape.dictionary;
  }
}

TEST(Whitened, ContinuesAsIfNeverInterrupted) {
  for (const Mesh& mesh : {whitened({1, 2}), whitened({2, 1}, DataParallel::kGradients)}) {
    const Outcome whole = train("ortsae", mesh, 0, 20);
    const Outcome first = train("ortsae", mesh, 0, 20, 9);
    EXPECT_EQ(train("ortsae", mesh, 0, 20, 0, &first.state).state, whole.state);
  }
}

TEST(Trainer, SplitsThePenaltyOverTheWholeWorld) {
  const Outcome sharded = train("ortsae", {{2, 2}}, 0, 2);
  // 3 chunks of 44 latents over 4 ranks, dealt by whole rows.
  EXPECT_LE(sharded.most_compared, 3 * 44 * 43 / 2 / 4 + 43);
}

TEST(Trainer, RefusesShardsThatDoNotDivideTheVirtualOnes) {
  EXPECT_THROW(train("topk", {{1, 5}}, 12, 1), Error);
}

}  // namespace
}  // namespace orthant::sae
