// The loss of an L1 crosscoder and its gradient by finite differences in double precision; and planted
// features of two sources, which a trained crosscoder gives back to the sources they are of.
#include "sae/diffing/crosscoder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/comm/self.h"
#include "runtime/core/rng.h"
#include "sae/training/trainer.h"
#include "tests/support/matrix_source.h"

namespace orthant::sae {
namespace {

constexpr int64_t kSources = 3;
constexpr int64_t kSourceWidth = 4;
constexpr int64_t kWidth = kSources * kSourceWidth;
constexpr int64_t kLatents = 9;
constexpr int64_t kBatch = 16;
constexpr double kL1 = 0.7;

std::vector<float> random_values(uint32_t stream, int64_t count, double size) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    values.push_back(
        static_cast<float>(size * random_normal(5, Purpose::kTest, stream, static_cast<uint64_t>(i))));
  }
  return values;
}

struct Weights {
  std::vector<double> encoder, decoder, encoder_bias, decoder_bias;
};

Weights weights_of(const Dictionary& d) {
  const auto all = [](const auto& tensor) {
    return std::vector<double>(tensor.data(), tensor.data() + tensor.view().elements());
  };
  return {all(d.encoder), all(d.decoder), all(d.encoder_bias), all(d.decoder_bias)};
}

double& at(std::vector<double>& rows, int64_t row, int64_t column) {
  return rows[static_cast<size_t>(row * kWidth + column)];
}

// Mean over rows of sum over sources of |x_s - xhat_s|^2, plus kL1 times that of sum over latents of
// f_i sum over sources of |d_i,s|.
double loss_of(Weights w, const std::vector<float>& x) {
  double loss = 0.0;
  for (int64_t r = 0; r < kBatch; ++r) {
    std::vector<double> out = w.decoder_bias;
    for (int64_t i = 0; i < kLatents; ++i) {
      double f = w.encoder_bias[static_cast<size_t>(i)], norms = 0.0;
      for (int64_t c = 0; c < kWidth; ++c) f += at(w.encoder, i, c) * x[static_cast<size_t>(r * kWidth + c)];
      if (f <= 0.0) continue;
      for (int64_t s = 0; s < kSources; ++s) {
        double squares = 0.0;
        for (int64_t c = s * kSourceWidth; c < (s + 1) * kSourceWidth; ++c)
          squares += std::pow(at(w.decoder, i, c), 2);
        norms += std::sqrt(squares);
      }
      loss += kL1 * f * norms;
      for (int64_t c = 0; c < kWidth; ++c) out[static_cast<size_t>(c)] += f * at(w.decoder, i, c);
    }
    for (int64_t c = 0; c < kWidth; ++c) {
      loss += std::pow(x[static_cast<size_t>(r * kWidth + c)] - out[static_cast<size_t>(c)], 2);
    }
  }
  return loss / kBatch;
}

double slope(Weights w, std::vector<double> Weights::*of, size_t element, const std::vector<float>& x) {
  constexpr double kStep = 1e-6;
  Weights more = w, less = w;
  (more.*of)[element] += kStep;
  (less.*of)[element] -= kStep;
  return (loss_of(more, x) - loss_of(less, x)) / (2.0 * kStep);
}

// Adam's first step is lr g / (|g| + epsilon): with both large, the step says what the gradient was.
TEST(CrosscoderL1, LossAndGradientAreThoseOfDifferences) {
  constexpr double kLarge = 1e4;
  Sae sae;
  sae.set_preset("crosscoder_l1");
  sae.set_latents(kLatents);
  sae.set_k(2);
  sae.set_l1_coefficient(kL1);
  sae.set_normalize_activations("none");
  Train train;
  train.set_lr(kLarge);
  train.set_adam_epsilon(kLarge);
  train.set_max_grad_norm(0.0);
  TrainerConfig config;
  config.conventions = resolve_conventions(sae, train);
  config.conventions.sources = kSources;
  config.batch_tokens = kBatch;
  config.steps = 1;
  World world = make_self_world();
  Grid grid = make_grid(*world.data, {1, 1});
  Memory memory;
  testing::MatrixSource source(random_values(1, kBatch * kWidth, 1.0), kWidth);
  Trainer trainer(config, kWidth, world, grid, memory);
  trainer.initialize(source);
  Dictionary& d = trainer.dictionary();
  const auto draw = [](Tensor<float, 2>& into, uint32_t stream) {
    const std::vector<float> values = random_values(stream, into.view().elements(), 0.4);
    std::copy(values.begin(), values.end(), into.data());
  };
  draw(d.encoder, 2);
  draw(d.decoder, 3);
  for (int64_t i = 0; i < kLatents; ++i) d.encoder_bias.data()[i] = 0.05f * static_cast<float>(i % 3);
  const Weights before = weights_of(d);
  const std::vector<float> x = random_values(1, kBatch * kWidth, 1.0);

  const StepReport report = trainer.step(source);
  EXPECT_NEAR(report.loss, loss_of(before, x), 1e-5 * report.loss);
  const Weights after = weights_of(d);
  const auto expect_gradients = [&](std::vector<double> Weights::*of, const char* name) {
    for (size_t i = 0; i < (before.*of).size(); ++i) {
      const double moved = (before.*of)[i] - (after.*of)[i];
      const double gradient = moved / (1.0 - std::abs(moved) / kLarge);
      const double expected = slope(before, of, i, x);
      EXPECT_NEAR(gradient, expected, 2e-5 * std::max(1.0, std::abs(expected))) << name << " " << i;
    }
  };
  expect_gradients(&Weights::encoder, "encoder");
  expect_gradients(&Weights::decoder, "decoder");
  expect_gradients(&Weights::encoder_bias, "encoder bias");
  expect_gradients(&Weights::decoder_bias, "decoder bias");
}

// Features k are of both sources, of the first or of the second, by k % 3; each fires with its own direction
// there.
constexpr int64_t kPlantedWidth = 20;
constexpr int64_t kPlanted = 24;
constexpr int64_t kPlantedRows = 4096;

bool is_in(int64_t feature, int64_t source) {
  return feature % 3 == 2 || feature % 3 == source;
}

std::vector<double> planted_direction(int64_t feature, int64_t source) {
  std::vector<double> direction;
  double squares = 0.0;
  for (int64_t c = 0; c < kPlantedWidth; ++c) {
    const auto index = static_cast<uint64_t>((feature * 2 + source) * kPlantedWidth + c);
    direction.push_back(random_normal(6, Purpose::kTest, 0, index));
    squares += direction.back() * direction.back();
  }
  for (double& value : direction) value /= std::sqrt(squares);
  return direction;
}

std::vector<float> planted_rows() {
  std::vector<std::vector<double>> directions;
  for (int64_t i = 0; i < 2 * kPlanted; ++i) directions.push_back(planted_direction(i / 2, i % 2));
  std::vector<float> rows;
  for (int64_t r = 0; r < kPlantedRows; ++r) {
    std::vector<double> row(2 * kPlantedWidth, 0.0);
    for (int64_t k = 0; k < kPlanted; ++k) {
      const auto index = static_cast<uint64_t>(r * kPlanted + k);
      if (random_uniform(6, Purpose::kTest, 1, index) > 0.06f) continue;
      const double size = 1.0 + random_uniform(6, Purpose::kTest, 2, index);
      for (int64_t s = 0; s < 2; ++s) {
        if (!is_in(k, s)) continue;
        const std::vector<double>& direction = directions[static_cast<size_t>(2 * k + s)];
        for (int64_t c = 0; c < kPlantedWidth; ++c) {
          row[static_cast<size_t>(s * kPlantedWidth + c)] += size * direction[static_cast<size_t>(c)];
        }
      }
    }
    rows.insert(rows.end(), row.begin(), row.end());
  }
  return rows;
}

class Crosscoder : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Presets, Crosscoder, ::testing::Values("crosscoder_batchtopk", "crosscoder_l1"),
                         [](const ::testing::TestParamInfo<std::string>& preset) { return preset.param; });

TEST_P(Crosscoder, GivesPlantedFeaturesBackToTheirSources) {
  Sae sae;
  sae.set_preset(GetParam());
  sae.set_latents(kPlanted);
  sae.set_k(2);
  sae.set_l1_coefficient(0.4);
  Train train;
  train.set_lr(3e-3);
  TrainerConfig config;
  config.conventions = resolve_conventions(sae, train);
  config.conventions.sources = 2;
  config.batch_tokens = 512;
  config.steps = 1500;
  World world = make_self_world();
  Grid grid = make_grid(*world.data, {1, 1});
  Memory memory;
  testing::MatrixSource source(planted_rows(), 2 * kPlantedWidth);
  Trainer trainer(config, 2 * kPlantedWidth, world, grid, memory);
  trainer.initialize(source);
  while (trainer.steps_done() < config.steps) (void)trainer.step(source);
  const Dictionary& d = trainer.dictionary();
  const DecoderSources found = decoder_sources(d, *world.data);

  // Each planted feature has a latent whose rows point its way; that latent has its relative norm.
  int64_t recovered = 0;
  for (int64_t k = 0; k < kPlanted; ++k) {
    double best = 0.0;
    size_t latent = 0;
    for (int64_t i = 0; i < kPlanted; ++i) {
      double product = 0.0, squares = 0.0, planted = 0.0;
      for (int64_t s = 0; s < 2; ++s) {
        const std::vector<double> direction = planted_direction(k, s);
        for (int64_t c = 0; c < kPlantedWidth; ++c) {
          // Of decoder rows in raw activations.
          const double row =
              d.decoder.view().row(i)[s * kPlantedWidth + c] / d.source_scales[static_cast<size_t>(s)];
          squares += row * row;
          if (!is_in(k, s)) continue;
          product += row * direction[static_cast<size_t>(c)];
          planted += std::pow(direction[static_cast<size_t>(c)], 2);
        }
      }
      const double cosine = squares > 0.0 ? product / std::sqrt(squares * planted) : 0.0;
      if (cosine > best) {
        best = cosine;
        latent = static_cast<size_t>(i);
      }
    }
    if (best < 0.9) continue;
    ++recovered;
    const double r = found.relative_norm[latent];
    const double expected = k % 3 == 2 ? 0.5 : static_cast<double>(k % 3);
    EXPECT_NEAR(r, expected, 0.15) << "feature " << k;
  }
  EXPECT_GE(recovered, 3 * kPlanted / 4);
}

}  // namespace
}  // namespace orthant::sae
