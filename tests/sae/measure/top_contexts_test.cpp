#include "sae/measure/top_contexts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "runtime/comm/self.h"
#include "runtime/core/rng.h"
#include "sae/dictionary/inference.h"
#include "sae/dictionary/reconstruction.h"
#include "sae/measure/histogram.h"

namespace orthant::sae {
namespace {

constexpr int64_t kWidth = 8;
constexpr int64_t kLatents = 20;
constexpr int64_t kRows = 530;
constexpr int64_t kDocument = 23;  // rows of a document; position 0 is left out by the source

class LabelledSource : public ActivationSource {
 public:
  [[nodiscard]] int64_t d_model() const override { return kWidth; }
  [[nodiscard]] int64_t rows(Split) const override { return kRows; }
  void read(Split, int64_t first, Matrix<float> into, RowLabels* labels) override {
    for (int64_t r = 0; r < into.shape[0]; ++r) {
      const int64_t row = first + r;
      for (int64_t c = 0; c < kWidth; ++c) {
        into.row(r)[c] = random_normal(1, Purpose::kTest, 0, static_cast<uint64_t>(row * kWidth + c));
      }
    }
    if (labels != nullptr) read_labels(Split::kHoldout, first, into.shape[0], *labels);
  }
  void read_labels(Split, int64_t first, int64_t count, RowLabels& labels) override {
    labels = {};
    for (int64_t row = first; row < first + count; ++row) {
      labels.token_ids.push_back(static_cast<int32_t>(row));
      labels.positions.push_back(static_cast<int32_t>(row % kDocument + 1));
      labels.documents.push_back(row / kDocument);
    }
  }
  [[nodiscard]] std::string identity() const override { return "labelled rows of a test"; }
};

Dictionary dictionary(Share slice, Memory& memory) {
  Conventions c;
  c.architecture = Architecture::kTopK;
  c.latents = kLatents;
  c.k = 3;
  Dictionary d = allocate_dictionary(c, kWidth, slice, memory);
  initialize_dictionary(d, EncoderInit::kUnitTransposed, 3);
  return d;
}

// Activations of every latent in every row, [kLatents][kRows].
std::vector<std::vector<float>> all_activations() {
  Memory memory;
  const Dictionary d = dictionary({0, kLatents}, memory);
  const auto self = make_self_communicator();
  Inference inference(memory, d, kRows, *self, 0);
  Tensor<float, 2> x(memory, "test", {kRows, kWidth});
  LabelledSource().read(Split::kHoldout, 0, x.view(), nullptr);
  const kernels::CodesView codes = inference.encode(x.view());
  std::vector<std::vector<float>> dense(kLatents, std::vector<float>(kRows, 0.0f));
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t e = codes.row_offsets.data[r]; e < codes.row_offsets.data[r + 1]; ++e) {
      dense[static_cast<size_t>(codes.latents.data[e])][static_cast<size_t>(r)] = codes.values.data[e];
    }
  }
  return dense;
}

// The rows that the definition chooses: largest first, none within an earlier context.
std::vector<int64_t> expected_peaks(const std::vector<float>& activations, int64_t top, int64_t width) {
  std::vector<int64_t> peaks;
  std::vector<bool> is_shown(kRows, false);
  while (static_cast<int64_t>(peaks.size()) < top) {
    int64_t best = -1;
    for (int64_t r = 0; r < kRows; ++r) {
      const auto at = static_cast<size_t>(r);
      if (is_shown[at] || activations[at] <= 0.0f) continue;
      if (best < 0 || activations[at] > activations[static_cast<size_t>(best)]) best = r;
    }
    if (best < 0) break;
    peaks.push_back(best);
    for (int64_t r = best - width / 2; r <= best + width - 1 - width / 2; ++r) {
      if (r >= 0 && r < kRows && r / kDocument == best / kDocument) is_shown[static_cast<size_t>(r)] = true;
    }
  }
  return peaks;
}

TEST(TopContexts, AreTheLargestActivationsAtEveryMesh) {
  const auto activations = all_activations();
  const std::vector<int64_t> latents = {0, 7, 13, 19};
  for (const MeshShape mesh : {MeshShape{1, 1}, MeshShape{1, 3}, MeshShape{2, 1}, MeshShape{2, 2}}) {
    run_thread_ranks(mesh.data * mesh.dictionary, [&](World world) {
      Grid grid = make_grid(*world.data, mesh);
      Memory memory;
      LabelledSource source;
      const Dictionary d =
          dictionary(latent_slice(kLatents, mesh.dictionary, grid.dictionary->rank(), 0), memory);
      const auto found =
          find_top_contexts(d, source, latents,
                            {.split = Split::kHoldout, .rows = kRows, .top = 6, .width = 10}, world, grid, 0);
      ASSERT_EQ(found.size(), latents.size());
      for (size_t i = 0; i < latents.size(); ++i) {
        const std::vector<float>& own = activations[static_cast<size_t>(latents[i])];
        EXPECT_NEAR(found[i].max_activation, *std::max_element(own.begin(), own.end()), 1e-6);
        const std::vector<int64_t> peaks = expected_peaks(own, 6, 10);
        ASSERT_EQ(found[i].contexts.size(), peaks.size());
        for (size_t p = 0; p < peaks.size(); ++p) {
          const Context& context = found[i].contexts[p];
          EXPECT_EQ(context.token_ids[static_cast<size_t>(context.peak)], peaks[p]);
          EXPECT_EQ(context.document, peaks[p] / kDocument);
          EXPECT_EQ(context.position, peaks[p] % kDocument + 1);
          EXPECT_LE(context.token_ids.size(), 10u);
          for (size_t t = 0; t < context.token_ids.size(); ++t) {
            const int32_t row = context.token_ids[t];
            EXPECT_EQ(row / kDocument, context.document);
            EXPECT_NEAR(context.activations[t], own[static_cast<size_t>(row)], 1e-6);
          }
        }
      }
    });
  }
}

TEST(LatentsAcrossDensities, AreAliveAndSpreadByRank) {
  const std::vector<float> densities = {0.0f, 0.5f, 0.1f, 0.0f, 0.3f, 0.2f, 0.1f};
  EXPECT_EQ(latents_across_densities(densities, 3), (std::vector<int64_t>{1, 5, 6}));
  EXPECT_EQ(latents_across_densities(densities, 9), (std::vector<int64_t>{1, 4, 5, 2, 6}));
  EXPECT_TRUE(latents_across_densities(std::vector<float>(4, 0.0f), 3).empty());
}

TEST(Histogram, CountsEveryNumberOnce) {
  const std::vector<float> values = {-3.0f, -1.0f, -0.5f, 0.0f, 0.99f, 1.0f, 7.0f, NAN};
  const Histogram histogram = histogram_of(values, -1.0, 1.0, 4);
  EXPECT_EQ(histogram.edges, (std::vector<double>{-1.0, -0.5, 0.0, 0.5, 1.0}));
  EXPECT_EQ(histogram.counts, (std::vector<int64_t>{2, 1, 1, 3}));
}

TEST(IntervalContexts, HoldWhatFallsIntoThem) {
  const std::vector<std::vector<float>> dense = all_activations();
  const int64_t latent = 3;
  Firings firings;
  float largest = 0.0f;
  for (int64_t row = 0; row < kRows; ++row) {
    const float value = dense[latent][static_cast<size_t>(row)];
    if (value > 0.0f) firings.push_back({row, value});
    largest = std::max(largest, value);
  }
  LabelledSource source;
  const ContextOptions options{.rows = kRows, .top = 4, .width = 7};
  const std::vector<ContextInterval> found = interval_contexts(latent, firings, source, options, 5, 1);
  ASSERT_EQ(found.size(), 5u);
  EXPECT_NEAR(found[0].high, largest, 1e-6);
  EXPECT_EQ(found[4].low, 0.0);
  double share = 0.0;
  for (const ContextInterval& interval : found) {
    share += interval.share;
    int64_t inside = 0;
    for (const Firing& firing : firings)
      inside += firing.value > interval.low && firing.value <= interval.high;
    EXPECT_NEAR(interval.share, static_cast<double>(inside) / kRows, 1e-12);
    EXPECT_EQ(interval.contexts.size(), static_cast<size_t>(std::min<int64_t>(inside, 4)));
    int64_t last = -1;
    for (const Context& context : interval.contexts) {
      const auto peak = static_cast<size_t>(context.peak);
      EXPECT_GT(context.activations[peak], interval.low);
      EXPECT_LE(context.activations[peak], interval.high);
      EXPECT_EQ(context.activations[peak], dense[latent][static_cast<size_t>(context.token_ids[peak])]);
      EXPECT_GT(context.token_ids[peak], last);  // none twice, in the order of rows
      last = context.token_ids[peak];
    }
  }
  EXPECT_NEAR(share, static_cast<double>(firings.size()) / kRows, 1e-12);
  EXPECT_TRUE(interval_contexts(latent, {}, source, options, 5, 1).empty());
}

}  // namespace
}  // namespace orthant::sae
