// A training over several devices beside the same training over ranks of the CPU: the same steps, the same
// bytes on the wire, which are those of the formulas, and where it is deterministic the same bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "sae/dictionary/host_dictionary.h"
#include "sae/studies/synthetic_source.h"
#include "sae/training/step_traffic.h"
#include "sae/training/trainer.h"
#include "tests/device/device.h"
#if ORTHANT_EMULATED_DEVICE
#include "tests/device/ranks.h"
#include "tests/emulation/library_products.h"
#endif

namespace orthant::sae {
namespace {

#if ORTHANT_EMULATED_DEVICE

constexpr int64_t kWidth = 16;
constexpr int64_t kBatch = 18;
constexpr int64_t kLatents = 48;
constexpr int64_t kSteps = 4;
constexpr double kRate = 3e-3;

struct Wish {
  std::string preset;
  MeshShape mesh;
  DataParallel way = DataParallel::kCodes;
  bool has_dead_latents = false;
  // Rows of a block whose exchange runs beside the encoding of the next, on devices.
  int64_t exchange_rows = ShardEncoder::kExchangeRows;
  int virtual_shards = 0;
  std::string input_scaling = {};  // none: the preset's
  kernels::Precision precision = kernels::Precision::kF32;
};

void PrintTo(const Wish& wish, std::ostream* out) {
  *out << wish.preset << "_" << wish.mesh.data << "x" << wish.mesh.dictionary << "_" << name_of(wish.way)
       << (wish.has_dead_latents ? "_auxk" : "")
       << (wish.exchange_rows < kBatch ? "_blocks_of_" + std::to_string(wish.exchange_rows) : "")
       << (wish.input_scaling.empty() ? "" : "_") << wish.input_scaling
       << (wish.precision == kernels::Precision::kF32 ? "" : "_bf16");
}

TrainerConfig tiny_training(const Wish& wish) {
  Sae dictionary;
  dictionary.set_preset(wish.preset);
  dictionary.set_latents(kLatents);
  dictionary.set_k(4);
  dictionary.set_auxk(6);
  dictionary.set_dead_feature_threshold(wish.has_dead_latents ? kBatch : int64_t{1} << 40);
  dictionary.mutable_orthogonality()->set_chunk(20);
  if (!wish.input_scaling.empty()) dictionary.set_normalize_activations(wish.input_scaling);
  Train train;
  train.set_lr(kRate);
  train.set_lr_warm_up_steps(2);
  TrainerConfig config;
  config.conventions = resolve_conventions(dictionary, train);
  config.conventions.threshold_start_step = 0;
  config.batch_tokens = kBatch;
  config.steps = kSteps;
  config.seed = 11;
  config.data_parallel = wish.way;
  config.exchange_rows = wish.exchange_rows;
  config.virtual_shards = wish.virtual_shards;
  config.conventions.encoder_precision = wish.precision;
  return config;
}

Synthetic tiny_synthetic() {
  Synthetic config;
  config.set_features(70);
  config.set_d_model(kWidth);
  config.set_l0(4);
  return config;
}

struct Sent {
  Traffic dictionary, data, world;
};

struct OfRank {
  std::vector<StepReport> reports;
  std::vector<Sent> sent;  // up to the end of each step, from its start
  std::vector<float> weights;
  std::string sha256;  // of the whole dictionary
};

Traffic operator-(const Traffic& after, const Traffic& before) {
  return {after.all_reduce - before.all_reduce, after.reduce_scatter - before.reduce_scatter,
          after.all_gather - before.all_gather, after.broadcast - before.broadcast,
          after.all_to_all - before.all_to_all, after.shift - before.shift};
}

std::vector<float> weights_of(const Dictionary& dictionary) {
  const HostDictionary host(dictionary);
  std::vector<float> all;
  for (const std::span<const float> part :
       {host->encoder.view().span(), host->decoder.view().span(), host->encoder_bias.view().span(),
        host->decoder_bias.view().span()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

OfRank train(World& world, const Wish& wish) {
  OfRank result;
  Grid grid = make_grid(*world.data, wish.mesh);
  {
    Memory host, memory(world.data->device());
    SyntheticSource source(tiny_synthetic(), 3, host);
    Trainer trainer(tiny_training(wish), kWidth, world, grid, memory);
    trainer.initialize(source);
    while (trainer.steps_done() < kSteps) {
      const Sent before{grid.dictionary->traffic(), grid.data->traffic(), world.data->traffic()};
      result.reports.push_back(trainer.step(source));
      result.sent.push_back({grid.dictionary->traffic() - before.dictionary,
                             grid.data->traffic() - before.data, world.data->traffic() - before.world});
    }
    trainer.wait();
    result.weights = weights_of(trainer.dictionary());
    const HostDictionary on_host(trainer.dictionary());
    Stream stream(world.data->device());
    result.sha256 = weights_sha256(*on_host, *grid.dictionary, stream);
  }
  world.control->barrier();
  grid.dictionary->close();
  grid.data->close();
  return result;
}

std::vector<OfRank> train_on_cpu(const Wish& wish) {
  std::vector<OfRank> all(static_cast<size_t>(wish.mesh.data * wish.mesh.dictionary));
  run_thread_ranks(static_cast<int>(all.size()),
                   [&](World world) { all[static_cast<size_t>(world.rank())] = train(world, wish); });
  return all;
}

std::vector<OfRank> train_on_devices(const Wish& wish, testing::DeviceLibraries& libraries) {
  std::vector<OfRank> all(static_cast<size_t>(wish.mesh.data * wish.mesh.dictionary));
  testing::run_device_ranks(libraries, static_cast<int>(all.size()), [&](World& world) {
    all[static_cast<size_t>(world.rank())] = train(world, wish);
  });
  return all;
}

std::vector<OfRank> train_on_devices(const Wish& wish) {
  testing::DeviceLibraries libraries(wish.mesh.data * wish.mesh.dictionary);
  return train_on_devices(wish, libraries);
}

void expect_equal(const Traffic& expected, const Traffic& found, const std::string& where) {
  EXPECT_EQ(expected.all_reduce, found.all_reduce) << where;
  EXPECT_EQ(expected.reduce_scatter, found.reduce_scatter) << where;
  EXPECT_EQ(expected.all_gather, found.all_gather) << where;
  EXPECT_EQ(expected.broadcast, found.broadcast) << where;
  EXPECT_EQ(expected.all_to_all, found.all_to_all) << where;
  EXPECT_EQ(expected.shift, found.shift) << where;
}

// Sums of kWidth terms in another order differ by less than 1e-5 of their size; a weight moves by at most
// kRate in a step whatever its gradient.
void expect_near(const OfRank& expected, const OfRank& found) {
  for (size_t i = 0; i < kSteps; ++i) {
    const StepReport &ours = found.reports[i], &theirs = expected.reports[i];
    EXPECT_NEAR(ours.loss, theirs.loss, 1e-5 * std::abs(theirs.loss));
    EXPECT_NEAR(ours.orthogonality, theirs.orthogonality, 1e-5 * std::abs(theirs.orthogonality));
    EXPECT_EQ(ours.dead_latents, theirs.dead_latents);
    EXPECT_EQ(ours.l0, theirs.l0);
  }
  ASSERT_EQ(found.weights.size(), expected.weights.size());
  for (size_t i = 0; i < found.weights.size(); ++i) {
    ASSERT_NEAR(found.weights[i], expected.weights[i], 0.02 * kRate * kSteps) << i;
  }
}

Traffic operator+(const Traffic& a, const Traffic& b) {
  return {a.all_reduce + b.all_reduce, a.reduce_scatter + b.reduce_scatter, a.all_gather + b.all_gather,
          a.broadcast + b.broadcast,   a.all_to_all + b.all_to_all,         a.shift + b.shift};
}

// Over all steps: devices share the rows of a step during the one before.
void expect_same_bytes_sent(const OfRank& expected, const OfRank& found) {
  const auto sum = [](const OfRank& rank) {
    Sent all;
    for (const Sent& step : rank.sent) {
      all.dictionary = all.dictionary + step.dictionary;
      all.data = all.data + step.data;
      all.world = all.world + step.world;
    }
    return all;
  };
  const Sent a = sum(expected), b = sum(found);
  expect_equal(a.dictionary, b.dictionary, "dictionary");
  expect_equal(a.data, b.data, "data");
  expect_equal(a.world, b.world, "world");
}

// From the second step on, as the first one may decide what none does again, and not of the last, which
// shares no rows of a next one.
void expect_bytes_of_formulas(const Wish& wish, int rank, const OfRank& found) {
  for (size_t i = 1; i + 1 < kSteps; ++i) {
    const StepTraffic formula =
        predict_step_traffic(tiny_training(wish), kWidth, wish.mesh, rank,
                             {.second_round_rows = found.reports[i].second_round_rows});
    const std::string step = "formula of step " + std::to_string(i);
    expect_equal(formula.dictionary.sent, found.sent[i].dictionary, step + ", dictionary");
    expect_equal(formula.data.sent, found.sent[i].data, step + ", data");
    expect_equal(formula.world.sent, found.sent[i].world, step + ", world");
  }
}

class TrainOnDevices : public testing::DeviceTest, public ::testing::WithParamInterface<Wish> {};

TEST_P(TrainOnDevices, AgreesWithRanksOfTheCpuAndSendsAsMuch) {
  const Wish& wish = GetParam();
  const std::vector<OfRank> expected = train_on_cpu(wish), found = train_on_devices(wish);
  int64_t dead = 0;
  for (size_t rank = 0; rank < found.size(); ++rank) {
    expect_near(expected[rank], found[rank]);
    expect_same_bytes_sent(expected[rank], found[rank]);
    const bool is_exact = wish.preset != "ortsae" && !wish.has_dead_latents;
    if (is_exact) expect_bytes_of_formulas(wish, static_cast<int>(rank), found[rank]);
    const size_t shard = rank % static_cast<size_t>(wish.mesh.dictionary);
    EXPECT_EQ(found[rank].weights, found[shard].weights) << "replicas";
    for (const StepReport& report : found[rank].reports) dead += report.dead_latents;
  }
  EXPECT_EQ(dead > 0, wish.has_dead_latents) << "the auxiliary loss takes part where it should";
}

INSTANTIATE_TEST_SUITE_P(
    All, TrainOnDevices,
    ::testing::Values(Wish{"topk", {1, 2}}, Wish{"topk", {1, 2}, DataParallel::kCodes, false, 6},
                      Wish{"topk", {2, 2}, DataParallel::kCodes, true, 4},
                      Wish{"topk", {1, 3}, DataParallel::kCodes, true, 5}, Wish{"topk", {2, 1}},
                      Wish{"topk", {2, 1}, DataParallel::kGradients},
                      Wish{"topk", {1, 2}, DataParallel::kCodes, true},
                      Wish{"topk", {2, 1}, DataParallel::kCodes, true}, Wish{"ortsae", {1, 2}},
                      Wish{"ortsae", {2, 1}}, Wish{"standard", {1, 2}}, Wish{"saelens_topk", {1, 2}},
                      Wish{"dl_topk", {1, 2}}),
    [](const ::testing::TestParamInfo<Wish>& named) { return ::testing::PrintToString(named.param); });

using DeterministicOnADevice = testing::DeviceTest;

class DeterministicOnDevices : public testing::DeviceTest, public ::testing::WithParamInterface<Wish> {};

TEST_P(DeterministicOnDevices, HasTheBitsOfOneProcessOfTheCpuAndAsksForNoFloatingSum) {
  Wish wish = GetParam(), alone = wish;
  alone.mesh = {1, 1};
  wish.virtual_shards = alone.virtual_shards = 12;
  const OfRank expected = train_on_cpu(alone).front();
  const int ranks = wish.mesh.data * wish.mesh.dictionary;
  testing::DeviceLibraries libraries(ranks);
  const int64_t products_before = testing::library_products();
  for (const OfRank& found : train_on_devices(wish, libraries)) {
    EXPECT_EQ(found.sha256, expected.sha256);
    for (size_t i = 0; i < kSteps; ++i) {
      EXPECT_EQ(found.reports[i].loss, expected.reports[i].loss) << i;
      EXPECT_EQ(found.reports[i].orthogonality, expected.reports[i].orthogonality) << i;
      EXPECT_EQ(found.reports[i].auxiliary, expected.reports[i].auxiliary) << i;
      EXPECT_EQ(found.reports[i].gradient_norm, expected.reports[i].gradient_norm) << i;
    }
  }
  EXPECT_EQ(libraries.floating_sums(), 0);
  EXPECT_EQ(testing::library_products(), products_before) << "products in the order of the library";
  for (int rank = 0; rank < ranks; ++rank) {
    const std::vector<std::string> calls = libraries.calls(rank);
    EXPECT_EQ(std::count(calls.begin(), calls.end(), "reduce_scatter"), 0);
  }
}

// Where the bits are those of one process, the fast order of sums gives others.
TEST_F(DeterministicOnADevice, IsNotWhatTheFastOrderGives) {
  const int64_t products_before = testing::library_products();
  const OfRank fast = train_on_devices({"topk", {1, 3}}).front(),
               alone = train_on_cpu({"topk", {1, 1}}).front();
  EXPECT_GT(testing::library_products(), products_before);
  EXPECT_NE(fast.sha256, alone.sha256);
}

// One that launches in no order shares the rows of a step at its start instead of beside the step before.
TEST_F(DeterministicOnADevice, AnOldNcclOverlapsNothingAndGivesTheSame) {
  for (const char* preset : {"topk", "ortsae"}) {
    const Wish wish{preset, {1, 2}};
    testing::DeviceLibraries old(2), recent(2);
    old.set_version(22505);
    const std::vector<OfRank> found = train_on_devices(wish, old), expected = train_on_devices(wish, recent);
    for (size_t rank = 0; rank < 2; ++rank) {
      EXPECT_EQ(found[rank].sha256, expected[rank].sha256);
      expect_same_bytes_sent(expected[rank], found[rank]);
      // The last step of the recent one shares no rows any more.
      EXPECT_GT(found[rank].sent[kSteps - 1].dictionary.all_gather,
                expected[rank].sent[kSteps - 1].dictionary.all_gather);
      EXPECT_EQ(found[rank].sent[1].dictionary.all_gather, expected[rank].sent[1].dictionary.all_gather);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, DeterministicOnDevices,
    ::testing::Values(Wish{"topk", {1, 1}}, Wish{"topk", {1, 2}}, Wish{"topk", {1, 3}}, Wish{"topk", {2, 1}},
                      Wish{"topk", {2, 2}}, Wish{"topk", {1, 3}, DataParallel::kCodes, true, 5},
                      Wish{"ortsae", {1, 1}}, Wish{"ortsae", {1, 3}}, Wish{"ortsae", {2, 1}},
                      Wish{"batchtopk", {1, 2}}, Wish{"standard", {1, 1}}, Wish{"standard", {1, 2}},
                      Wish{"saelens_topk", {1, 2}, DataParallel::kCodes, true},
                      Wish{"dl_topk", {1, 3}, DataParallel::kCodes, true},
                      Wish{"topk", {1, 2}, DataParallel::kCodes, false, 18, 0, "layer_norm"},
                      Wish{"topk", {1, 2}, DataParallel::kCodes, false, 18, 0, "whiten"},
                      Wish{
                          "topk", {1, 2}, DataParallel::kCodes, false, 18, 0, "", kernels::Precision::kBF16}),
    [](const ::testing::TestParamInfo<Wish>& named) { return ::testing::PrintToString(named.param); });

#endif

}  // namespace
}  // namespace orthant::sae
