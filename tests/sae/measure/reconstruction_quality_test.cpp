#include "sae/measure/reconstruction_quality.h"

#include <gtest/gtest.h>

#include <cmath>
#include <mutex>

#include "runtime/core/rng.h"
#include "sae/dictionary/reconstruction.h"
#include "sae/measure/neighbour_cosines.h"
#include "sae/studies/synthetic_source.h"

namespace orthant::sae {
namespace {

constexpr int64_t kWidth = 12;
constexpr int64_t kLatents = 30;
constexpr int64_t kRows = 700;

Conventions conventions(Architecture architecture) {
  Conventions c;
  c.architecture = architecture;
  c.latents = kLatents;
  c.k = 4;
  c.encoder_bias = true;
  return c;
}

Synthetic synthetic() {
  Synthetic config;
  config.set_features(40);
  config.set_d_model(kWidth);
  config.set_l0(3);
  return config;
}

Dictionary dictionary(Architecture architecture, Share slice, Memory& memory) {
  Dictionary d = allocate_dictionary(conventions(architecture), kWidth, slice, memory);
  initialize_dictionary(d, EncoderInit::kUnitTransposed, 9);
  for (int64_t i = 0; i < kWidth; ++i) d.decoder_bias.data()[i] = 0.01f * static_cast<float>(i);
  d.threshold = 0.3;
  return d;
}

// One row through the whole dictionary in double precision.
std::vector<double> reconstruct(const Dictionary& d, const float* x, int64_t& fired) {
  std::vector<std::pair<double, int64_t>> active;
  for (int64_t i = 0; i < d.latents; ++i) {
    double a = d.encoder_bias.data()[i];
    for (int64_t c = 0; c < kWidth; ++c) {
      a += (static_cast<double>(x[c]) - d.decoder_bias.data()[c]) * d.encoder.view().row(i)[c];
    }
    const double above = d.architecture == Architecture::kBatchTopK ? d.threshold : 0.0;
    if (a > above) active.emplace_back(a, i);
  }
  std::sort(active.rbegin(), active.rend());
  if (d.architecture == Architecture::kTopK) active.resize(std::min<size_t>(active.size(), 4));
  fired += static_cast<int64_t>(active.size());
  std::vector<double> out(d.decoder_bias.data(), d.decoder_bias.data() + kWidth);
  for (const auto& [a, i] : active) {
    for (int64_t c = 0; c < kWidth; ++c) out[static_cast<size_t>(c)] += a * d.decoder.view().row(i)[c];
  }
  return out;
}

class Quality : public ::testing::TestWithParam<Architecture> {};
INSTANTIATE_TEST_SUITE_P(Architectures, Quality,
                         ::testing::Values(Architecture::kTopK, Architecture::kBatchTopK,
                                           Architecture::kStandard));

TEST_P(Quality, EqualsTheDefinitionsInDouble) {
  Memory memory;
  SyntheticSource source(synthetic(), 2, memory);
  std::vector<float> x(kRows * kWidth);
  source.read(Split::kHoldout, 0, {x.data(), {kRows, kWidth}}, nullptr);
  const Dictionary whole = dictionary(GetParam(), {0, kLatents}, memory);
  std::vector<double> mean(kWidth, 0.0);
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t c = 0; c < kWidth; ++c)
      mean[static_cast<size_t>(c)] += x[static_cast<size_t>(r * kWidth + c)] / static_cast<double>(kRows);
  }
  double error = 0.0, centred = 0.0, legacy = 0.0;
  int64_t fired = 0;
  for (int64_t r = 0; r < kRows; ++r) {
    const float* row = x.data() + r * kWidth;
    const std::vector<double> out = reconstruct(whole, row, fired);
    double e = 0.0, v = 0.0;
    for (size_t c = 0; c < out.size(); ++c) {
      e += std::pow(row[c] - out[c], 2);
      v += std::pow(row[c] - mean[c], 2);
    }
    error += e;
    centred += v;
    if (v > 0.0) legacy += e / v;
  }
  for (const MeshShape mesh : {MeshShape{1, 1}, MeshShape{1, 3}, MeshShape{2, 1}, MeshShape{2, 2}}) {
    run_thread_ranks(mesh.data * mesh.dictionary, [&](World world) {
      Grid grid = make_grid(*world.data, mesh);
      Memory own;
      SyntheticSource mine(synthetic(), 2, own);
      const Share slice = latent_slice(kLatents, mesh.dictionary, grid.dictionary->rank(), 0);
      const Dictionary part = dictionary(GetParam(), slice, own);
      const ReconstructionQuality q = measure_reconstruction(part, mine, Split::kHoldout, kRows, grid, 0);
      EXPECT_EQ(q.rows, kRows);
      EXPECT_NEAR(q.explained_variance, 1.0 - error / centred, 1e-5);
      EXPECT_NEAR(q.explained_variance_legacy, 1.0 - legacy / kRows, 1e-5);
      EXPECT_NEAR(q.mse, error / kRows, 1e-5 * error / kRows);
      EXPECT_NEAR(q.l0, static_cast<double>(fired) / kRows, 1e-2);
    });
  }
}

TEST(NeighbourCosines, EqualTheDefinitionAtEveryNumberOfShards) {
  constexpr int64_t kCount = 23;
  std::vector<float> rows(kCount * kWidth);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = random_normal(4, Purpose::kTest, 0, i);
  std::copy_n(rows.begin(), kWidth, rows.begin() + 7 * kWidth);  // a duplicate: cosine 1
  const auto cosine = [&](int64_t a, int64_t b) {
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (int64_t c = 0; c < kWidth; ++c) {
      const double u = rows[static_cast<size_t>(a * kWidth + c)],
                   v = rows[static_cast<size_t>(b * kWidth + c)];
      ab += u * v;
      aa += u * u;
      bb += v * v;
    }
    return ab / std::sqrt(aa * bb);
  };
  for (const int shards : {1, 2, 3, 4}) {
    run_thread_ranks(shards, [&](World world) {
      Stream stream;
      std::vector<Share> slices;
      for (int s = 0; s < shards; ++s) slices.push_back(share_of(kCount, shards, s));
      const Share own = slices[static_cast<size_t>(world.rank())];
      const std::vector<float> local =
          neighbour_cosines(Matrix<const float>{rows.data() + own.first * kWidth, {own.count, kWidth}},
                            slices, *world.data, stream);
      const std::vector<float> all = gather_latent_values(local, slices, *world.data, stream);
      for (int64_t i = 0; i < kCount; ++i) {
        double best = -1.0;
        for (int64_t j = 0; j < kCount; ++j) {
          if (j != i) best = std::max(best, cosine(i, j));
        }
        EXPECT_NEAR(all[static_cast<size_t>(i)], best, 1e-6);
      }
    });
  }
}

}  // namespace
}  // namespace orthant::sae
