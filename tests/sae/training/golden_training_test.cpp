// Twelve steps of independent programs, replayed through the trainer: every convention of four presets at
// once.

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <fstream>
#include <sstream>

#include "runtime/comm/world.h"
#include "runtime/storage/safetensors.h"
#include "sae/training/trainer.h"
#include "tests/support/matrix_source.h"
#include "tests/support/shared_files.h"

namespace orthant::sae {
namespace {

struct Golden {
  explicit Golden(const std::string& name)
      : folder(testing::shared_folder() / "golden/training"),
        tensors((folder / (name + ".safetensors")).string()) {
    std::ifstream file(folder / (name + ".json"));
    std::stringstream text;
    text << file.rdbuf();
    json = boost::json::parse(text.str());
  }
  [[nodiscard]] std::vector<float> tensor(const std::string& name) const {
    const SafetensorsEntry& entry = tensors.entry(name);
    std::vector<float> values(static_cast<size_t>(entry.elements()));
    tensors.read(entry, values);
    return values;
  }
  [[nodiscard]] double number(std::string_view key) const { return json.at(key).to_number<double>(); }
  [[nodiscard]] int64_t integer(std::string_view key) const { return json.at(key).to_number<int64_t>(); }

  std::filesystem::path folder;
  SafetensorsReader tensors;
  boost::json::value json;
};

Sae sae_of(const std::string& preset, int64_t latents, int64_t k) {
  Sae sae;
  sae.set_preset(preset);
  sae.set_latents(latents);
  sae.set_k(k);
  sae.set_auxk(16);
  return sae;
}

TrainerConfig lineage_config(const Golden& golden, const std::string& preset) {
  Sae sae = sae_of(preset, golden.integer("latents"), golden.integer("k"));
  sae.set_normalize_activations("none");
  sae.mutable_orthogonality()->set_chunk(golden.integer("chunk"));
  sae.set_dead_feature_threshold(golden.integer("dead_after_batches") * golden.integer("batch"));
  Train train;
  train.set_lr(golden.number("lr"));
  TrainerConfig config;
  config.conventions = resolve_conventions(sae, train);
  config.batch_tokens = golden.integer("batch");
  config.steps = golden.integer("steps");
  const std::vector<int64_t> permutation =
      golden.tensors.read_integers(golden.tensors.entry("chunk_permutation"));
  const int64_t latents = golden.integer("latents");
  const int64_t chunk = golden.integer("chunk");
  config.partition = [=](int64_t step) {
    const auto first = permutation.begin() + step * latents;
    return LatentPartition(std::vector<int32_t>(first, first + latents), chunk);
  };
  return config;
}

TrainerConfig dictionary_learning_config(const Golden& golden, const std::string& preset) {
  Sae sae = sae_of(preset, golden.integer("dict_size"), golden.integer("k"));
  sae.set_dead_feature_threshold(golden.integer("dead_feature_threshold_tokens"));
  sae.set_threshold_beta(golden.number("threshold_beta"));
  sae.set_threshold_start_step(golden.integer("threshold_start_step"));
  Train train;
  train.set_lr(golden.number("lr"));
  train.set_lr_warm_up_steps(golden.integer("warmup_steps"));
  train.set_lr_decay_start(golden.number("decay_start") / golden.number("steps"));
  TrainerConfig config;
  config.conventions = resolve_conventions(sae, train);
  config.batch_tokens = 64;
  config.steps = golden.integer("steps");
  return config;
}

// The initial weights of the golden run in place of drawn ones.
void load_initial(const Golden& golden, Trainer& trainer) {
  Dictionary& d = trainer.dictionary();
  const auto load = [&](const char* name, float* into, int64_t first, int64_t count) {
    const std::vector<float> all = golden.tensor(name);
    std::copy_n(all.begin() + first, count, into);
  };
  const int64_t width = d.d_model;
  load("init.W_enc", d.encoder.data(), d.slice.first * width, d.slice.count * width);
  load("init.W_dec", d.decoder.data(), d.slice.first * width, d.slice.count * width);
  load("init.b_dec", d.decoder_bias.data(), 0, width);
  if (golden.tensors.has("init.b_enc")) {
    load("init.b_enc", d.encoder_bias.data(), d.slice.first, d.slice.count);
  }
}

// |ours - theirs| over the distance trained, beyond the rounding of float32 parameters (at lr 0 nothing is
// trained).
double relative_distance(const std::vector<float>& initial, const std::vector<float>& golden,
                         const float* ours, int64_t first, int64_t count) {
  double off = 0.0;
  double trained = 0.0;
  double size = 0.0;
  for (int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(first + i);
    off += std::pow(static_cast<double>(ours[i]) - golden[at], 2);
    trained += std::pow(static_cast<double>(initial[at]) - golden[at], 2);
    size += std::pow(golden[at], 2);
  }
  const double rounding = 1.2e-7 * std::sqrt(size);
  return std::max(0.0, std::sqrt(off) - rounding) / std::max({std::sqrt(trained), rounding, 1e-30});
}

void expect_parameters(const Golden& golden, const Trainer& trainer, const std::string& moment,
                       double tolerance) {
  const Dictionary& d = trainer.dictionary();
  const auto compare = [&](const std::string& name, const float* ours, int64_t first, int64_t count) {
    EXPECT_LE(relative_distance(golden.tensor("init." + name), golden.tensor(moment + "." + name), ours,
                                first, count),
              tolerance)
        << moment << " " << name;
  };
  const int64_t width = d.d_model;
  compare("W_enc", d.encoder.data(), d.slice.first * width, d.slice.count * width);
  compare("W_dec", d.decoder.data(), d.slice.first * width, d.slice.count * width);
  compare("b_dec", d.decoder_bias.data(), 0, width);
  if (d.has_encoder_bias) compare("b_enc", d.encoder_bias.data(), d.slice.first, d.slice.count);
}

// Adam's first mean is (1 - beta1) times the first gradient: what the golden program's gradients, projected
// as the preset does, are compared with.
void expect_first_gradients(const Golden& golden, Trainer& trainer) {
  const double beta1 = trainer.config().conventions.adam_beta1;
  const std::vector<float> decoder = golden.tensor("init.W_dec");
  std::vector<float> decoder_gradient = golden.tensor("grad0.W_dec");
  const auto width = static_cast<size_t>(trainer.dictionary().d_model);
  for (size_t row = 0; row < decoder.size(); row += width) {
    double along = 0.0;
    double squares = 0.0;
    for (size_t c = row; c < row + width; ++c) {
      along += static_cast<double>(decoder_gradient[c]) * decoder[c];
      squares += static_cast<double>(decoder[c]) * decoder[c];
    }
    for (size_t c = row; c < row + width; ++c) {
      decoder_gradient[c] -= static_cast<float>(along / squares * decoder[c]);
    }
  }
  for (const TensorSlice& slice : trainer.state()) {
    std::vector<float> expected;
    if (slice.name == "adam.encoder_m") expected = golden.tensor("grad0.W_enc");
    if (slice.name == "adam.decoder_m") expected = decoder_gradient;
    if (slice.name == "adam.decoder_bias_m") expected = golden.tensor("grad0.b_dec");
    if (expected.empty()) continue;
    const int64_t row_elements = static_cast<int64_t>(expected.size()) / slice.shape[0];
    double off = 0.0;
    double size = 0.0;
    for (int64_t i = 0; i < slice.rows * row_elements; ++i) {
      const double theirs = expected[static_cast<size_t>(slice.first_row * row_elements + i)];
      const double ours = static_cast<const float*>(slice.data)[i] / (1.0 - beta1);
      off += (ours - theirs) * (ours - theirs);
      size += theirs * theirs;
    }
    EXPECT_LE(std::sqrt(off), 1e-6 * std::sqrt(size) + 1e-12) << slice.name;
  }
}

struct Case {
  std::string name;
  MeshShape mesh;
  DataParallel way = DataParallel::kCodes;
  int virtual_shards = 0;
};

class GoldenTraining : public ::testing::TestWithParam<Case> {};

TEST_P(GoldenTraining, ReplaysTwelveSteps) {
  const Case& param = GetParam();
  ORTHANT_NEEDS_SHARED("golden/training/" + param.name + ".safetensors");
  const Golden golden(param.name);
  const bool lineage = param.name.starts_with("lineage");
  const std::string preset = lineage ? param.name.substr(8) : param.name;

  run_thread_ranks(param.mesh.data * param.mesh.dictionary, [&](World world) {
    TrainerConfig config =
        lineage ? lineage_config(golden, preset) : dictionary_learning_config(golden, preset);
    config.data_parallel = param.way;
    config.virtual_shards = param.virtual_shards;
    Grid grid = make_grid(*world.data, param.mesh);
    Memory memory;
    testing::MatrixSource source(golden.tensor("x"), 32);
    Trainer trainer(config, 32, world, grid, memory);
    trainer.initialize(source);
    // The first batch's geometric median is the golden program's b_dec at step 0.
    const std::vector<float> bias(trainer.dictionary().decoder_bias.view().span().begin(),
                                  trainer.dictionary().decoder_bias.view().span().end());
    load_initial(golden, trainer);
    if (!lineage) std::copy(bias.begin(), bias.end(), trainer.dictionary().decoder_bias.data());

    const boost::json::array& log = golden.json.at("log").as_array();
    for (int64_t step = 0; step < config.steps; ++step) {
      const StepReport report = trainer.step(source);
      const boost::json::value& expected = log[static_cast<size_t>(step)];
      const double tolerance = step == 0 ? 1e-5 : 1e-4;
      const auto near = [&](const char* key, double value) {
        const double golden_value = expected.at(key).to_number<double>();
        EXPECT_NEAR(value, golden_value, tolerance * std::max(1e-3, std::abs(golden_value)))
            << key << " at step " << step;
      };
      near("loss", report.loss);
      EXPECT_EQ(report.dead_latents, expected.at("dead").to_number<int64_t>()) << "step " << step;
      if (lineage) {
        near("mse", report.reconstruction);
        near("aux", report.auxiliary);
        if (preset == "ortsae") near("orthogonality", report.orthogonality);
        near("theta", report.threshold);
      } else {
        near("threshold", report.threshold);
        EXPECT_NEAR(report.lr, expected.at("lr").to_number<double>(), 1e-9);
      }
      if (step == 0 && lineage) expect_first_gradients(golden, trainer);
      if (step == 0) expect_parameters(golden, trainer, "after1", 1e-4);
      if (step == 1) expect_parameters(golden, trainer, "after2", 1e-4);
    }
    expect_parameters(golden, trainer, "after12", 1e-3);
  });
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* name : {"lineage_batchtopk", "lineage_ortsae", "dl_topk", "dl_batchtopk"}) {
    all.push_back({name, {1, 1}});
    all.push_back({name, {1, 2}});
    all.push_back({name, {1, 3}});
    all.push_back({name, {2, 1}});
    all.push_back({name, {2, 2}, DataParallel::kGradients});
    all.push_back({name, {3, 1}, DataParallel::kGradients});
    all.push_back({name, {1, 1}, DataParallel::kCodes, 12});
    all.push_back({name, {2, 2}, DataParallel::kCodes, 12});
  }
  return all;
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) {
  const Case& c = info.param;
  return c.name + "_" + std::to_string(c.mesh.data) + "x" + std::to_string(c.mesh.dictionary) + "_" +
         std::string(name_of(c.way)) + (c.virtual_shards > 0 ? "_ordered" : "");
}

INSTANTIATE_TEST_SUITE_P(Presets, GoldenTraining, ::testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace orthant::sae
