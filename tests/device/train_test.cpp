// A whole training on a device beside the same training on the CPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "runtime/comm/world.h"
#include "runtime/core/error.h"
#include "runtime/core/log.h"
#include "runtime/storage/checkpoint.h"
#include "sae/dictionary/host_dictionary.h"
#include "sae/studies/synthetic_source.h"
#include "sae/training/trainer.h"
#include "sae/training/training_plan.h"
#include "tests/device/device.h"
#include "tests/support/temp_dir.h"

namespace orthant::sae {
namespace {

using testing::on_host;

constexpr int64_t kWidth = 24;
constexpr int64_t kBatch = 40;
constexpr int64_t kSteps = 10;
constexpr double kRate = 3e-3;

struct Wish {
  std::string preset;
  bool auxiliary = true;
  double max_grad_norm = 0.0;
  std::string input_scaling = {};  // none: the preset's
  int micro_batches = 1;
  int64_t steps = kSteps;
  std::string second_moment = "f32";
  int virtual_shards = 0;
};

void PrintTo(const Wish& wish, std::ostream* out) {
  *out << wish.preset << (wish.auxiliary ? " auxk" : "") << (wish.max_grad_norm > 0.0 ? " clipped" : "")
       << (wish.input_scaling.empty() ? "" : " ") << wish.input_scaling
       << (wish.micro_batches > 1 ? " in parts" : "")
       << (wish.second_moment == "f32" ? "" : " second moments in bf16");
}

// A latent is dead as soon as a batch goes by without it, so that the auxiliary loss takes part.
TrainerConfig tiny_training(const Wish& wish) {
  Sae dictionary;
  dictionary.set_preset(wish.preset);
  dictionary.set_latents(96);
  dictionary.set_k(4);
  dictionary.set_auxk(8);
  if (!wish.auxiliary) dictionary.set_auxk_alpha(0.0);
  dictionary.set_dead_feature_threshold(kBatch);
  dictionary.mutable_orthogonality()->set_chunk(40);
  if (!wish.input_scaling.empty()) dictionary.set_normalize_activations(wish.input_scaling);
  if (wish.preset == "standard") dictionary.set_l1_coefficient(0.05);
  Train train;
  train.set_lr(kRate);
  train.set_lr_warm_up_steps(2);
  if (wish.max_grad_norm > 0.0) train.set_max_grad_norm(wish.max_grad_norm);
  train.set_second_moment(wish.second_moment);
  TrainerConfig config;
  config.conventions = resolve_conventions(dictionary, train);
  config.batch_tokens = kBatch;
  config.steps = kSteps;
  config.seed = 11;
  config.micro_batches = wish.micro_batches;
  return config;
}

Synthetic tiny_synthetic() {
  Synthetic config;
  config.set_features(120);
  config.set_d_model(kWidth);
  config.set_l0(5);
  return config;
}

class Training {
 public:
  Training(const Wish& wish, Device device)
      : world_(make_self_world()),
        grid_(make_grid(*world_.data, {1, 1})),
        memory_(device),
        source_(tiny_synthetic(), 3, host_memory_),
        trainer_(tiny_training(wish), kWidth, world_, grid_, memory_) {}
  void start() { trainer_.initialize(source_); }
  std::vector<StepReport> train(int64_t until) {
    std::vector<StepReport> reports;
    while (trainer_.steps_done() < until) reports.push_back(trainer_.step(source_, true));
    return reports;
  }
  void save(const std::string& folder) {
    Checkpoints checkpoints = checkpoints_in(folder);
    const std::array<Checkpointable*, 1> objects = {&trainer_};
    ASSERT_TRUE(checkpoints.save({.step = trainer_.steps_done(), .values = {}}, objects));
  }
  void load(const std::string& folder) {
    Checkpoints checkpoints = checkpoints_in(folder);
    const std::array<Checkpointable*, 1> objects = {&trainer_};
    ASSERT_TRUE(checkpoints.load(objects).has_value());
    trainer_.after_load();
  }
  // Weights and moments, everything that a checkpoint keeps in f32 or bf16.
  [[nodiscard]] std::vector<float> values() {
    std::vector<float> all;
    for (const TensorSlice& slice : trainer_.state()) {
      int64_t elements = slice.rows;
      for (size_t i = 1; i < slice.shape.size(); ++i) elements *= slice.shape[i];
      if (slice.dtype == Dtype::kBF16) {
        const Vector<const BFloat16> view{static_cast<const BFloat16*>(slice.data), {elements}, slice.device};
        for (const BFloat16 x : on_host(view)) all.push_back(to_f32(x));
      }
      if (slice.dtype != Dtype::kF32) continue;
      const Vector<const float> view{static_cast<const float*>(slice.data), {elements}, slice.device};
      const std::vector<float> host = on_host(view);
      all.insert(all.end(), host.begin(), host.end());
    }
    return all;
  }
  [[nodiscard]] Trainer& trainer() { return trainer_; }
  [[nodiscard]] SyntheticSource& source() { return source_; }

 private:
  [[nodiscard]] Checkpoints checkpoints_in(const std::string& folder) {
    return Checkpoints(folder, 1, *world_.control, log_);
  }

  World world_;
  Grid grid_;
  Memory host_memory_, memory_;
  SyntheticSource source_;
  Trainer trainer_;
  Log log_{0, LogLevel::kOff};
};

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - b[i]);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

std::vector<float> weights_of(Training& training) {
  const HostDictionary host(training.trainer().dictionary());
  std::vector<float> all;
  for (const std::span<const float> part :
       {host->encoder.view().span(), host->decoder.view().span(), host->encoder_bias.view().span(),
        host->decoder_bias.view().span()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

// Sums of d_model = 24 or 40 terms in another order differ by less than 1e-5 of their size; a weight moves by
// at most kRate in a step whatever its gradient, in proportion where the gradient is above the noise.
void expect_near(const StepReport& cpu, const StepReport& device) {
  constexpr double kRelative = 1e-5;
  const auto near = [&](double a, double b, const char* what) {
    EXPECT_NEAR(a, b, kRelative * std::abs(a) + 1e-9) << what << " of step " << cpu.step;
  };
  near(cpu.loss, device.loss, "loss");
  near(cpu.reconstruction, device.reconstruction, "reconstruction");
  near(cpu.auxiliary, device.auxiliary, "auxiliary");
  near(cpu.sparsity, device.sparsity, "sparsity");
  near(cpu.orthogonality, device.orthogonality, "orthogonality");
  near(cpu.squared_error, device.squared_error, "squared error");
  near(cpu.variance, device.variance, "variance");
  near(cpu.gradient_norm, device.gradient_norm, "gradient norm");
  near(cpu.threshold, device.threshold, "threshold");
  EXPECT_EQ(cpu.dead_latents, device.dead_latents) << cpu.step;
  EXPECT_EQ(cpu.l0, device.l0) << cpu.step;
  EXPECT_EQ(cpu.lr, device.lr) << cpu.step;
  EXPECT_TRUE(device.finite);
}

class TrainOnDevice : public testing::DeviceTest, public ::testing::WithParamInterface<Wish> {};
class TrainTwiceOnDevice : public TrainOnDevice {};

TEST_P(TrainOnDevice, AgreesWithTheCpu) {
  Training cpu(GetParam(), kCpu), there(GetParam(), testing::device());
  cpu.start();
  there.start();
  EXPECT_EQ(weights_of(cpu), weights_of(there)) << "drawn weights";
  const int64_t steps = GetParam().steps;
  const std::vector<StepReport> expected = cpu.train(steps), found = there.train(steps);
  ASSERT_EQ(expected.size(), found.size());
  int64_t dead = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    expect_near(expected[i], found[i]);
    dead += found[i].dead_latents;
  }
  const bool has_auxiliary = GetParam().auxiliary && GetParam().preset != "standard";
  EXPECT_TRUE(dead > 0 || !has_auxiliary) << "the auxiliary loss took no part";
  EXPECT_LT(largest_difference(weights_of(cpu), weights_of(there)),
            0.02 * kRate * static_cast<double>(steps));
}

TEST_P(TrainTwiceOnDevice, HasEqualBits) {
  std::vector<float> values[2];
  for (std::vector<float>& of_run : values) {
    Training there(GetParam(), testing::device());
    there.start();
    (void)there.train(3);
    of_run = there.values();
  }
  EXPECT_EQ(values[0], values[1]);
}

std::string name_of_test(const ::testing::TestParamInfo<Wish>& named) {
  std::string name = ::testing::PrintToString(named.param);
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Presets, TrainOnDevice,
                         ::testing::Values(Wish{"topk"}, Wish{"dl_topk"}, Wish{"saelens_topk"},
                                           Wish{"batchtopk"}, Wish{"dl_batchtopk"}, Wish{"standard"},
                                           Wish{"ortsae"}),
                         name_of_test);
// Of a preset with something else; fewer steps, because fibers are slow.
INSTANTIATE_TEST_SUITE_P(
    Variants, TrainOnDevice,
    ::testing::Values(Wish{.preset = "topk", .auxiliary = false, .steps = 4},
                      Wish{.preset = "topk", .max_grad_norm = 0.5, .steps = 4},
                      Wish{.preset = "standard", .max_grad_norm = 0.5, .steps = 4},
                      Wish{.preset = "topk", .input_scaling = "layer_norm", .micro_batches = 3, .steps = 4},
                      Wish{.preset = "topk", .input_scaling = "whiten", .steps = 4},
                      Wish{.preset = "dl_topk", .steps = 4, .second_moment = "bf16"},
                      Wish{.preset = "standard", .steps = 4, .second_moment = "bf16"}),
    name_of_test);
INSTANTIATE_TEST_SUITE_P(Some, TrainTwiceOnDevice,
                         ::testing::Values(Wish{"dl_topk"}, Wish{"topk", true, 0.5, "layer_norm"},
                                           Wish{"batchtopk"}, Wish{"standard"},
                                           Wish{.preset = "topk", .second_moment = "bf16"}),
                         name_of_test);

using TrainCheckpoint = testing::DeviceTest;

// What one device saved, another continues with: the same values, and then the same steps within tolerance.
TEST_F(TrainCheckpoint, TravelsBetweenDevices) {
  const Wish wish{"dl_topk"};
  for (const auto& [from, to] : {std::pair(testing::device(), kCpu), std::pair(kCpu, testing::device())}) {
    const testing::TempDir folder;
    Training first(wish, from), second(wish, to);
    first.start();
    (void)first.train(5);
    first.save(folder.file("checkpoints"));
    second.load(folder.file("checkpoints"));
    EXPECT_EQ(second.trainer().steps_done(), 5);
    EXPECT_EQ(first.values(), second.values());
    const std::vector<StepReport> went_on = first.train(8), continued = second.train(8);
    for (size_t i = 0; i < went_on.size(); ++i) expect_near(went_on[i], continued[i]);
  }
}

// Reading ahead leaves nothing behind: a training that is continued has the bits of one that was not stopped.
TEST_F(TrainCheckpoint, ContinuesWithTheSameBits) {
  for (const char* second_moment : {"f32", "bf16"}) {
    const Wish wish{.preset = "topk", .second_moment = second_moment};
    const testing::TempDir folder;
    Training whole(wish, testing::device()), first(wish, testing::device()), second(wish, testing::device());
    whole.start();
    (void)whole.train(4);
    first.start();
    (void)first.train(2);
    first.save(folder.file("checkpoints"));
    second.load(folder.file("checkpoints"));
    (void)second.train(4);
    EXPECT_EQ(whole.values(), second.values()) << second_moment;
  }
}

TEST_F(TrainCheckpoint, StartsFromADictionaryOfTheHost) {
  const Wish wish{"topk"};
  Training first(wish, kCpu), second(wish, testing::device());
  first.start();
  (void)first.train(3);
  second.trainer().initialize_from(first.trainer().dictionary());
  EXPECT_EQ(weights_of(first), weights_of(second));
}

using TrainSelection = testing::DeviceTest;

TEST_F(TrainSelection, TopKOfTheFirstBatchIsThatOfTheCpu) {
  const Wish wish{"topk"};
  const auto codes_on = [&](Device device) {
    Training training(wish, device);
    training.start();
    const Dictionary& d = training.trainer().dictionary();
    World world = make_self_world();
    Memory memory(device), host;
    Stream stream(device);
    Tensor<float, 2> rows(host, "test", {kBatch, kWidth}), x(memory, "test", {kBatch, kWidth});
    training.source().read(Split::kTrain, 0, rows.view(), nullptr);
    copy_bytes(x.data(), device, rows.data(), kCpu, rows.view().bytes());
    InputScaler scaler(memory, "test", d, kBatch);
    scaler.prepare(stream);
    scaler.scale(x.view(), stream);
    ShardEncoder encoder(memory, d, kBatch, d.k, 0, *world.data, 0);
    encoder.pack(d, stream);
    encoder.center(d, x.view(), x.view(), stream);
    kernels::Codes codes(memory, kBatch, kBatch * d.k);
    encoder.topk(x.view(), d, codes.view(), stream);
    stream.synchronize();
    return std::pair(on_host(codes.view().latents), on_host(codes.view().values));
  };
  const auto [latents, values] = codes_on(kCpu);
  const auto [device_latents, device_values] = codes_on(testing::device());
  EXPECT_EQ(latents, device_latents);
  EXPECT_LT(largest_difference(values, device_values), 1e-5);
}

using TrainingPlanOfADevice = testing::DeviceTest;

TEST_F(TrainingPlanOfADevice, MemoryIsWhatIsAllocated) {
  for (const Wish& wish : {Wish{"topk"}, Wish{"dl_topk", true, 0.5}, Wish{"topk", true, 0.0, "whiten"},
                           Wish{.preset = "ortsae", .virtual_shards = 12}}) {
    TrainerConfig config = tiny_training(wish);
    config.virtual_shards = wish.virtual_shards;
    World world = make_self_world();
    Grid grid = make_grid(*world.data, {1, 1});
    Memory memory(testing::device());
    const Trainer trainer(config, kWidth, world, grid, memory);
    const TrainerFootprint planned = trainer_footprint(config, kWidth, {1, 1}, 0, testing::device());
    EXPECT_EQ(planned.memory_bytes, memory.allocated_bytes());
    ASSERT_EQ(planned.segments.size(), memory.segments().size());
    for (size_t i = 0; i < planned.segments.size(); ++i) {
      EXPECT_EQ(planned.segments[i].allocated_bytes, memory.segments()[i].allocated_bytes)
          << planned.segments[i].segment;
    }
  }
}

}  // namespace
}  // namespace orthant::sae
