// A crosscoder made by hand, whose features are coordinates: what its norms say and what latent scaling says
// of the activations are both known.
#include "sae/diffing/crosscoder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <mutex>

#include "runtime/comm/world.h"
#include "runtime/core/rng.h"
#include "sae/dictionary/reconstruction.h"
#include "sae/diffing/difference.h"
#include "tests/support/code_of.h"
#include "tests/support/matrix_source.h"
#include "tests/support/zero_dictionary.h"

namespace orthant::sae {
namespace {

constexpr int64_t kWidth = 6;    // of a source
constexpr int64_t kLatents = 6;  // latent i is coordinate i of either source
constexpr int64_t kRows = 700;

// How strongly feature i is in the sources, and what the crosscoder's decoder says.
struct Feature {
  float in_a, in_b;
  float decoder_a, decoder_b;
};
constexpr Feature kFeatures[kLatents] = {
    {1.0f, 1.0f, 1.0f, 1.0f},   // shared
    {1.0f, 0.0f, 1.0f, 0.0f},   // of A alone
    {0.0f, 1.0f, 0.0f, 1.0f},   // of B alone
    {1.0f, 0.8f, 1.0f, 0.0f},   // shared, though the norms say of A alone: complete shrinkage
    {0.25f, 1.0f, 0.0f, 1.0f},  // weakly in A, though the norms say of B alone
    {1.0f, -1.0f, 1.0f, -1.0f}  // turned round
};

Dictionary crosscoder(Share slice, Memory& memory, bool scaled = false) {
  Conventions c;
  c.architecture = Architecture::kStandard;
  c.latents = kLatents;
  c.k = 1;
  c.sources = 2;
  c.subtract_decoder_bias = false;
  c.input_scaling = scaled ? InputScaling::kUnitMeanSquare : InputScaling::kNone;
  Dictionary d = testing::zero_dictionary(c, 2 * kWidth, slice, memory);
  if (scaled) d.source_scales = {2.0, 0.5};
  for (int64_t i = 0; i < slice.count; ++i) {
    const int64_t latent = slice.first + i;
    const Feature& f = kFeatures[latent];
    // Read from the source that has the feature whole, so that the activation is its size.
    const bool from_a = f.in_a == 1.0f;
    d.encoder.view().row(i)[from_a ? latent : kWidth + latent] = 1.0f;
    d.decoder.view().row(i)[latent] = f.decoder_a;
    d.decoder.view().row(i)[kWidth + latent] = f.decoder_b;
  }
  return d;
}

// Each feature fires in a third of the rows; divided by the scales where the crosscoder has them.
std::vector<float> activations(bool scaled = false) {
  std::vector<float> rows;
  for (int64_t r = 0; r < kRows; ++r) {
    float sizes[kLatents];
    for (int64_t i = 0; i < kLatents; ++i) {
      const auto index = static_cast<uint64_t>(r * kLatents + i);
      const float drawn = random_uniform(9, Purpose::kTest, 0, index);
      sizes[i] = drawn < 1.0f / 3.0f ? 1.0f + 3.0f * drawn : 0.0f;
    }
    for (int64_t i = 0; i < kLatents; ++i)
      rows.push_back(kFeatures[i].in_a * sizes[i] / (scaled ? 2.0f : 1.0f));
    for (int64_t i = 0; i < kLatents; ++i)
      rows.push_back(kFeatures[i].in_b * sizes[i] / (scaled ? 0.5f : 1.0f));
  }
  return rows;
}

TEST(DecoderSourcesOf, NormsRelativeNormsAndCosines) {
  for (const int shards : {1, 2, 4}) {
    run_thread_ranks(shards, [&](World world) {
      Memory memory;
      const Dictionary d = crosscoder(latent_slice(kLatents, shards, world.rank(), 0), memory);
      const DecoderSources found = decoder_sources(d, *world.data);
      EXPECT_EQ(found.norm_a, (std::vector<float>{1, 1, 0, 1, 0, 1}));
      EXPECT_EQ(found.norm_b, (std::vector<float>{1, 0, 1, 0, 1, 1}));
      EXPECT_EQ(found.relative_norm, (std::vector<float>{0.5f, 0, 1, 0, 1, 0.5f}));
      EXPECT_EQ(found.cosine, (std::vector<float>{1, 0, 0, 0, 0, -1}));
    });
  }
}

TEST(CrosscoderScalingOf, FindsWhatTheNormsLeaveOut) {
  for (const bool scaled : {false, true}) {
    for (const int shards : {1, 3}) {
      SCOPED_TRACE(std::to_string(shards) + (scaled ? " shards, scaled" : " shards"));
      run_thread_ranks(shards, [&](World world) {
        Memory memory;
        const Dictionary d = crosscoder(latent_slice(kLatents, shards, world.rank(), 0), memory, scaled);
        testing::MatrixSource source(activations(scaled), 2 * kWidth);
        const CrosscoderScaling found = crosscoder_scaling(d, source, Split::kTrain, 0, world);
        EXPECT_EQ(found.rows, kRows);
        for (size_t i = 0; i < kLatents; ++i) {
          const Feature& f = kFeatures[i];
          EXPECT_GT(found.firings[i], kRows / 5) << i;
          // Coordinates do not overlap, so beta is exactly how strongly the feature is in the source.
          EXPECT_NEAR(found.error_beta_a[i], f.in_a, 1e-5) << i;
          EXPECT_NEAR(found.error_beta_b[i], f.in_b, 1e-5) << i;
          EXPECT_NEAR(found.reconstruction_beta_a[i], f.decoder_a, 1e-5) << i;
          EXPECT_NEAR(found.reconstruction_beta_b[i], f.decoder_b, 1e-5) << i;
          const bool is_a = f.decoder_a != 0.0f;
          EXPECT_NEAR(found.error_ratio[i], is_a ? f.in_b / f.in_a : f.in_a / f.in_b, 1e-5) << i;
          EXPECT_NEAR(found.reconstruction_ratio[i],
                      is_a ? f.decoder_b / f.decoder_a : f.decoder_a / f.decoder_b, 1e-5)
              << i;
        }
      });
    }
  }
}

TEST(CrosscoderScalingOf, TakesTheFirstRowsAndOneSourceIsRefused) {
  World world = make_self_world();
  Memory memory;
  Dictionary d = crosscoder({0, kLatents}, memory);
  testing::MatrixSource source(activations(), 2 * kWidth);
  EXPECT_EQ(crosscoder_scaling(d, source, Split::kTrain, 300, world).rows, 300);
  EXPECT_EQ(crosscoder_scaling(d, source, Split::kTrain, 100000, world).rows, kRows);
  d.sources = 1;
  EXPECT_EQ(testing::code_of([&] { (void)decoder_sources(d, *world.data); }), ExitCode::kConfig);
}

// B - A of the features above is carried by latents of a dictionary of the difference; the shared feature is
// in none.
TEST(DifferenceLatentsOf, ShareAndScalingToBothSources) {
  for (const int shards : {1, 2}) {
    run_thread_ranks(shards, [&](World world) {
      const Share slice = latent_slice(kLatents, shards, world.rank(), 0);
      Memory memory;
      Conventions c;
      c.architecture = Architecture::kStandard;
      c.latents = kLatents;
      c.k = 1;
      c.subtract_decoder_bias = false;
      Dictionary d = testing::zero_dictionary(c, kWidth, slice, memory);
      for (int64_t i = 0; i < slice.count; ++i) {
        const int64_t latent = slice.first + i;
        const float sign = kFeatures[latent].in_b < kFeatures[latent].in_a ? -1.0f : 1.0f;
        d.encoder.view().row(i)[latent] = d.decoder.view().row(i)[latent] = sign;
      }
      testing::MatrixSource joined(activations(), 2 * kWidth);
      const DifferenceLatents found = difference_latents(d, joined, Split::kTrain, 0, world);
      EXPECT_EQ(found.firings[0], 0) << "what both have alike is not in the difference";
      double shares = 0.0;
      for (const float share : found.share) shares += share;
      EXPECT_NEAR(shares, 1.0, 1e-5) << "coordinates do not overlap";
      for (size_t i = 1; i < kLatents; ++i) {
        const Feature& f = kFeatures[i];
        const double difference = f.in_b - f.in_a;
        EXPECT_NEAR(found.beta_a[i], f.in_a / difference, 1e-5) << i;
        EXPECT_NEAR(found.beta_b[i], f.in_b / difference, 1e-5) << i;
        EXPECT_NEAR(found.beta_b[i] - found.beta_a[i], 1.0, 1e-5) << i;
      }
    });
  }
}

}  // namespace
}  // namespace orthant::sae
