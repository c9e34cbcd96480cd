// Measures of a dictionary that is on the device: those of the same dictionary on the CPU.
#include <gtest/gtest.h>

#include <cmath>

#include "models/tasks/edit_effect.h"
#include "runtime/comm/self.h"
#include "runtime/comm/world.h"
#include "runtime/core/rng.h"
#include "sae/measure/dictionary_geometry.h"
#include "sae/measure/reconstruction_quality.h"
#include "sae/measure/splice_edit.h"
#include "sae/measure/top_contexts.h"
#include "tests/device/device.h"
#include "tests/support/memory_model.h"

namespace orthant::sae {
namespace {

constexpr int64_t kWidth = 24;
constexpr int64_t kLatents = 48;
constexpr int64_t kRows = 270;  // one whole block and a part

class LabelledSource : public ActivationSource {
 public:
  [[nodiscard]] int64_t d_model() const override { return kWidth; }
  [[nodiscard]] int64_t rows(Split) const override { return kRows; }
  void read(Split, int64_t first, Matrix<float> into, RowLabels* labels) override {
    if (labels != nullptr) read_labels(Split::kHoldout, first, into.shape[0], *labels);
    for (int64_t row = first; row < first + into.shape[0]; ++row) {
      for (int64_t c = 0; c < kWidth; ++c) {
        into.row(row - first)[c] =
            random_normal(1, Purpose::kTest, 0, static_cast<uint64_t>(row * kWidth + c));
      }
    }
  }
  void read_labels(Split, int64_t first, int64_t count, RowLabels& labels) override {
    labels = {};
    for (int64_t row = first; row < first + count; ++row) {
      labels.token_ids.push_back(static_cast<int32_t>(row));
      labels.positions.push_back(static_cast<int32_t>(row % 23));
      labels.documents.push_back(row / 23);
    }
  }
  [[nodiscard]] std::string identity() const override { return "labelled rows of a test"; }
};

Dictionary dictionary(Architecture architecture, Memory& memory) {
  Conventions c;
  c.architecture = architecture;
  c.latents = kLatents;
  c.k = 4;
  Dictionary d = allocate_dictionary(c, kWidth, {0, kLatents}, memory);
  initialize_dictionary(d, EncoderInit::kUnitTransposed, 3);
  d.threshold = 1.0;
  return d;
}

// Codes sum in the same order on the fibers and in another on a GPU; a row has unit scale.
constexpr double kClose = 1e-5;

class MeasuresOnDevice : public testing::DeviceTest {
 protected:
  ReconstructionQuality quality_of(const Dictionary& d) {
    World world = make_self_world();
    Grid grid = make_grid(*world.data, {1, 1});
    return measure_reconstruction(d, source, Split::kHoldout, kRows, grid, 0);
  }
  std::vector<LatentContexts> contexts_of(const Dictionary& d) {
    World world = make_self_world();
    Grid grid = make_grid(*world.data, {1, 1});
    const std::vector<int64_t> latents = {0, 7, 40};
    return find_top_contexts(d, source, latents,
                             {.split = Split::kHoldout, .rows = kRows, .top = 3, .width = 8}, world, grid, 0);
  }
  LabelledSource source;
  Memory host;
  Memory memory{testing::device()};
};

TEST_F(MeasuresOnDevice, ReconstructionQualityIsThatOfTheCpu) {
  for (const Architecture architecture : {Architecture::kTopK, Architecture::kBatchTopK}) {
    const Dictionary here = dictionary(architecture, host), there = copy_of(here, memory, "dictionary");
    const ReconstructionQuality expected = quality_of(here), found = quality_of(there);
    EXPECT_EQ(found.rows, kRows);
    EXPECT_EQ(found.l0, expected.l0);
    EXPECT_GT(found.l0, 0.0);
    EXPECT_EQ(found.firing_counts, expected.firing_counts);
    EXPECT_NEAR(found.mse, expected.mse, kClose * expected.mse);
    EXPECT_NEAR(found.explained_variance, expected.explained_variance, kClose);
    EXPECT_NEAR(found.cosine, expected.cosine, kClose);
    for (size_t i = 0; i < expected.max_activations.size(); ++i) {
      EXPECT_NEAR(found.max_activations[i], expected.max_activations[i],
                  kClose * (1.0 + expected.max_activations[i]));
    }
  }
}

TEST_F(MeasuresOnDevice, ContextsAreThoseOfTheCpu) {
  const Dictionary here = dictionary(Architecture::kTopK, host), there = copy_of(here, memory, "dictionary");
  const auto expected = contexts_of(here), found = contexts_of(there);
  ASSERT_EQ(found.size(), 3u);
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].contexts.size(), expected[i].contexts.size());
    for (size_t c = 0; c < found[i].contexts.size(); ++c) {
      EXPECT_EQ(found[i].contexts[c].token_ids, expected[i].contexts[c].token_ids);
      EXPECT_EQ(found[i].contexts[c].peak, expected[i].contexts[c].peak);
    }
  }
}

TEST_F(MeasuresOnDevice, GeometryIsThatOfTheCpu) {
  const Dictionary here = dictionary(Architecture::kTopK, host), there = copy_of(here, memory, "dictionary");
  const auto self = make_self_communicator();
  const DictionaryGeometry expected = measure_geometry(here, 5, *self, 0),
                           found = measure_geometry(there, 5, *self, 0);
  EXPECT_NEAR(found.mean_max_decoder_cosine, expected.mean_max_decoder_cosine, kClose);
  EXPECT_NEAR(found.mean_max_encoder_cosine, expected.mean_max_encoder_cosine, kClose);
  EXPECT_NEAR(found.chance_mean_cosine, expected.chance_mean_cosine, kClose);
  EXPECT_EQ(found.encoder_decoder_cosine, expected.encoder_decoder_cosine);
  EXPECT_EQ(found.encoder_norm, expected.encoder_norm);
  EXPECT_EQ(found.encoder_bias, expected.encoder_bias);
}

TEST_F(MeasuresOnDevice, ASpliceReplacesTheRowsThatItReplacesOnTheCpu) {
  const Dictionary here = dictionary(Architecture::kTopK, host), there = copy_of(here, memory, "dictionary");
  Tensor<float, 2> x(host, "test", {kRows, kWidth}), y(memory, "test", {kRows, kWidth});
  LabelledSource().read(Split::kHoldout, 0, x.view(), nullptr);
  for (int64_t c = 0; c < kWidth; ++c) x.view().row(41)[c] *= 100.0f;
  copy_bytes(y.data(), memory.device(), x.data(), kCpu, x.view().bytes());
  const std::vector<float> before = testing::on_host(x.view());
  std::vector<int32_t> ids, positions, sequences(kRows, 0);
  for (int32_t r = 0; r < kRows; ++r) {
    ids.push_back(r % 17);
    positions.push_back(r % 50);
  }
  const UntouchedRows untouched{.token_ids = {5}, .positions = {0}, .norm_limit = 50.0};
  SpliceEdit on_cpu(here, untouched, host), on_device(there, untouched, memory);
  on_cpu.apply(x.view(), ids, positions, sequences);
  on_device.apply(y.view(), ids, positions, sequences);
  EXPECT_EQ(on_device.rows(), kRows);
  EXPECT_EQ(on_device.rows_over_norm_limit(), 1);
  const std::vector<float> found = testing::on_host(y.view()), expected = testing::on_host(x.view());
  for (size_t i = 0; i < found.size(); ++i) {
    const size_t row = i / kWidth;
    if (row % 17 == 5 || row % 50 == 0 || row == 41) {
      ASSERT_EQ(found[i], before[i]) << row;
    } else {
      ASSERT_NEAR(found[i], expected[i], kClose) << row;
    }
  }
}

TEST_F(MeasuresOnDevice, SplicedModelsLoseWhatTheyLoseOnTheCpu) {
  const Dictionary here = dictionary(Architecture::kTopK, host), there = copy_of(here, memory, "dictionary");
  const testing::MemoryModel file(testing::varied_config());
  models::BatchBuilder batch;
  for (const int64_t length : {1, 40, 9}) {
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < length; ++i) ids.push_back(static_cast<int32_t>((i * i * 5 + i + 4) % 11));
    batch.add(ids);
  }
  const auto effects_in = [&](const Dictionary& d, Memory& at) {
    Stream stream(at.device());
    const models::Weights weights = models::load_weights(file, {}, at, stream);
    SpliceEdit splice(d, {.token_ids = {}, .positions = {0}}, at);
    ZeroEdit zero;
    ResidualEdit* const edits[] = {&splice, &zero};
    models::EditMeter meter(weights, {50, 3, 40}, 2, at, stream);
    return meter.measure(batch.batch(), {1, models::HookSite::kResidPost}, edits);
  };
  const auto expected = effects_in(here, host), found = effects_in(there, memory);
  ASSERT_EQ(found.rows, expected.rows);
  for (size_t e = 0; e < 2; ++e) {
    for (size_t i = 0; i < found.rows.size(); ++i) {
      // As of logits (forward_test.cpp).
      EXPECT_NEAR(found.edits[e].nll[i], expected.edits[e].nll[i], 1e-3);
      EXPECT_NEAR(found.edits[e].kl[i], expected.edits[e].kl[i], 1e-3);
    }
  }
  EXPECT_NE(found.edits[0].nll, found.original_nll);
}

}  // namespace
}  // namespace orthant::sae
