#include "kernels/screen/screen.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <limits>

#include "kernels/encode/encode.h"
#include "tests/support/random_matrix.h"

namespace orthant {
namespace {

using kernels::Codes;
using kernels::CodesView;
using kernels::EncodeArgs;
using kernels::EncodeWorkspace;
using kernels::Isa;
using kernels::PackedWeights;
using kernels::Precision;
using kernels::ScreenedRows;
using kernels::ScreenedWeights;
using kernels::ScreenMargin;
using testing::HostMatrix;
using testing::random_matrix;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<Isa> isas_with_screen() {
  std::vector<Isa> isas;
  for (const Isa isa : kernels::supported_isas()) {
    if (kernels::screen_ops(isa) != nullptr) isas.push_back(isa);
  }
  return isas;
}

// Rows and latents, bounded by a screen and multiplied exactly.
struct Screened {
  HostMatrix x, w, bounds, exact;
  std::vector<float> lower;  // [rows, latents]

  Screened(HostMatrix rows, HostMatrix latents, Isa isa, Precision precision = Precision::kF32)
      : x(std::move(rows)), w(std::move(latents)), bounds(0, 0), exact(x.rows, w.rows) {
    Memory memory;
    Stream stream;
    PackedWeights packed(memory, "weights", w.rows, w.columns, precision);
    packed.pack(w.view(), stream);
    matmul_nt(std::as_const(x).view(), packed, exact.view(), isa, stream);
    ScreenedWeights weights(memory, "weights", w.rows, w.columns, precision);
    weights.pack(w.view(), isa, stream);
    const int64_t padded_rows = ScreenedRows::padded(x.rows), padded_latents = ScreenedRows::padded(w.rows);
    std::vector<uint16_t> tiles(
        static_cast<size_t>(padded_rows * weights.depth_tiles() * kernels::kScreenDepth));
    std::vector<ScreenMargin> margins(static_cast<size_t>(padded_rows));
    const ScreenedRows block(weights, std::as_const(x).view(), isa, tiles.data(), margins.data());
    bounds = HostMatrix(padded_rows, padded_latents);
    block.upper_bounds(0, w.rows, bounds.view().data, padded_latents);
    for (int64_t r = 0; r < x.rows; ++r) {
      for (int64_t i = 0; i < w.rows; ++i) lower.push_back(block.lower_bound(r, i, bounds.at(r, i)));
    }
    std::vector<int32_t> all;
    for (int64_t i = w.rows - 1; i >= 0; --i) all.push_back(static_cast<int32_t>(i));
    std::vector<float> products(all.size());
    for (int64_t r = 0; r < x.rows; ++r) {
      block.products(r, all.data(), w.rows, products.data());
      for (int64_t i = 0; i < w.rows; ++i) {
        const float product = products[static_cast<size_t>(w.rows - 1 - i)];
        EXPECT_TRUE(product == exact.at(r, i) || (std::isnan(product) && std::isnan(exact.at(r, i))))
            << "row " << r << ", latent " << i << ": " << product << " instead of " << exact.at(r, i);
      }
    }
  }

  // How many elements a bound excludes though it must not.
  [[nodiscard]] int64_t violations() const {
    int64_t count = 0;
    for (int64_t r = 0; r < x.rows; ++r) {
      for (int64_t i = 0; i < w.rows; ++i) {
        const float value = exact.at(r, i), below = lower[static_cast<size_t>(r * w.rows + i)];
        if (bounds.at(r, i) < value || below > value) ++count;
        // A product that is not a number must not be excluded by any threshold.
        if (std::isnan(value) && bounds.at(r, i) < kInfinity) ++count;
      }
    }
    return count;
  }
};

void scale_rows(HostMatrix& matrix, const std::vector<float>& scales) {
  for (int64_t r = 0; r < matrix.rows; ++r) {
    for (int64_t c = 0; c < matrix.columns; ++c)
      matrix.at(r, c) *= scales[static_cast<size_t>(r) % scales.size()];
  }
}

class ScreenOf : public ::testing::TestWithParam<Isa> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ScreenOf);

TEST_P(ScreenOf, BoundsHoldForEveryShapeAndExactProductsHaveTheBitsOfThePlainOnes) {
  for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
    for (const int64_t rows : {1, 15, 33}) {
      for (const int64_t latents : {1, 16, 47}) {
        for (const int64_t depth : {1, 3, 31, 32, 77, 576}) {
          const auto seed = static_cast<uint32_t>(rows + 100 * latents + 10000 * depth);
          const Screened screened(random_matrix(rows, depth, seed), random_matrix(latents, depth, seed + 1),
                                  GetParam(), precision);
          EXPECT_EQ(screened.violations(), 0) << rows << " x " << latents << " x " << depth;
        }
      }
    }
  }
}

TEST_P(ScreenOf, BoundsAreNearTheProducts) {
  const Screened screened(random_matrix(32, 576, 1), random_matrix(64, 576, 2), GetParam());
  const auto length = [](const HostMatrix& matrix, int64_t row) {
    double squares = 0.0;
    for (int64_t c = 0; c < matrix.columns; ++c) squares += std::pow(matrix.at(row, c), 2);
    return std::sqrt(squares);
  };
  for (int64_t r = 0; r < 32; ++r) {
    for (int64_t i = 0; i < 64; ++i) {
      const double margin = screened.bounds.at(r, i) - screened.exact.at(r, i);
      EXPECT_LT(margin, 0.006 * length(screened.x, r) * length(screened.w, i));
    }
  }
}

// Values half-way between two bf16 numbers, all rounded the same way, and products of one sign: nothing
// cancels.
TEST_P(ScreenOf, BoundsHoldWhereAllRoundingsAgree) {
  for (const float half : {1.0f + 1.0f / 256, 1.0f + 3.0f / 256, 1.0f + 1.0f / 256 + 1e-6f, 1.9999999f}) {
    HostMatrix x(32, 1000), w(32, 1000);
    for (float& value : x.values) value = half;
    for (float& value : w.values) value = half;
    scale_rows(x, {1.0f, -1.0f});
    const Screened screened(std::move(x), std::move(w), GetParam());
    EXPECT_EQ(screened.violations(), 0) << half;
  }
}

TEST_P(ScreenOf, BoundsHoldAtEveryScale) {
  HostMatrix x = random_matrix(64, 50, 3), w = random_matrix(64, 50, 4);
  scale_rows(x, {1e-44f, 1e-38f, 1e-30f, 1e-15f, 0.0f, 1.0f, 1e10f, 1e17f, 1e19f, 1e30f, 3e38f});
  scale_rows(w, {1e-41f, 1e-20f, 0.0f, 1.0f, 1e3f, 1e18f, 2e38f});
  for (int64_t c = 0; c < 50; c += 7) x.at(5, c) *= 1e6f;
  const Screened screened(std::move(x), std::move(w), GetParam());
  EXPECT_EQ(screened.violations(), 0);
}

TEST_P(ScreenOf, WhatIsNotFiniteIsNeverExcluded) {
  HostMatrix x = random_matrix(32, 40, 5), w = random_matrix(32, 40, 6);
  x.at(3, 7) = kNaN;
  x.at(4, 8) = kInfinity;
  w.at(5, 9) = kNaN;
  w.at(6, 39) = -kInfinity;
  const Screened screened(std::move(x), std::move(w), GetParam());
  EXPECT_EQ(screened.violations(), 0);
  for (int64_t i = 0; i < 32; ++i) EXPECT_FALSE(screened.bounds.at(3, i) < kInfinity);
  for (int64_t r = 0; r < 32; ++r) EXPECT_FALSE(screened.bounds.at(r, 5) < kInfinity);
}

// A whole encode, screened and not.
struct Encodes {
  HostMatrix x, w;
  std::vector<float> bias = {}, scale = {};
  Precision precision = Precision::kF32;
  std::vector<uint64_t> eligible = {};

  struct Found {
    std::vector<int64_t> offsets;
    std::vector<int32_t> latents, beside_counts, beside_latents;
    std::vector<float> values, beside_values;
    bool operator==(const Found&) const = default;
  };
  template <typename Encode>
  Found run(Isa isa, bool screens, const Encode& encode) {
    constexpr int64_t kBeside = 9;
    Memory memory;
    Stream stream;
    PackedWeights packed(memory, "weights", w.rows, w.columns, precision);
    ScreenedWeights screened(memory, "weights", w.rows, w.columns, precision);
    screens ? screened.pack(w.view(), isa, stream) : packed.pack(w.view(), stream);
    Found found;
    found.beside_counts.assign(static_cast<size_t>(x.rows), -1);
    found.beside_latents.assign(static_cast<size_t>(x.rows * kBeside), -1);
    found.beside_values.assign(static_cast<size_t>(x.rows * kBeside), -1.0f);
    const kernels::TopsBeside beside = {
        .eligible = {eligible.data(), {static_cast<int64_t>(eligible.size())}},
        .counts = {found.beside_counts.data(), {x.rows}},
        .latents = {found.beside_latents.data(), {x.rows, kBeside}},
        .values = {found.beside_values.data(), {x.rows, kBeside}}};
    EncodeArgs args{.input = std::as_const(x).view()};
    if (screens) {
      args.screened = &screened;
    } else {
      args.encoder = &packed;
    }
    if (!bias.empty()) args.bias = {bias.data(), {w.rows}};
    if (!scale.empty()) args.selection_scale = {scale.data(), {w.rows}};
    if (!eligible.empty()) args.beside = &beside;
    EncodeWorkspace workspace(memory, omp_get_max_threads(), 64, w.columns, kBeside);
    Codes codes(memory, x.rows, x.rows * w.rows);
    encode(args, workspace, codes.view(), stream);
    const CodesView view = codes.view();
    found.offsets.assign(view.row_offsets.data, view.row_offsets.data + x.rows + 1);
    found.latents.assign(view.latents.data, view.latents.data + view.entries());
    found.values.assign(view.values.data, view.values.data + view.entries());
    return found;
  }
  void expect_same(Isa isa) {
    for (const int64_t k : {1, 17, 64}) {
      const auto topk = [&](const EncodeArgs& args, EncodeWorkspace& workspace, CodesView out,
                            Stream& stream) { encode_topk(args, k, workspace, out, isa, stream); };
      EXPECT_EQ(run(isa, true, topk), run(isa, false, topk)) << "k " << k;
    }
    for (const float threshold : {0.0f, 1.0f, 30.0f}) {
      const auto above = [&](const EncodeArgs& args, EncodeWorkspace& workspace, CodesView out,
                             Stream& stream) {
        const int64_t count = encode_above(args, threshold, {}, workspace, out, isa, stream);
        EXPECT_EQ(count, out.entries());
      };
      EXPECT_EQ(run(isa, true, above), run(isa, false, above)) << "threshold " << threshold;
    }
  }
};

Encodes random_encodes(int64_t rows, int64_t latents, int64_t depth) {
  Encodes encodes{.x = random_matrix(rows, depth, 7), .w = random_matrix(latents, depth, 8)};
  encodes.bias = random_matrix(1, latents, 9).values;
  return encodes;
}

TEST_P(ScreenOf, AScreenedEncodeHasTheBitsOfTheUnscreened) {
  for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
    Encodes encodes = random_encodes(333, 1501, 96);
    encodes.precision = precision;
    encodes.expect_same(GetParam());
    encodes.scale = random_matrix(1, 1501, 10).values;
    for (float& scale : encodes.scale) scale = scale < -1.0f ? 0.0f : std::abs(scale);
    encodes.eligible.assign((1501 + 63) / 64, 0x0123456789abcdefull);
    encodes.expect_same(GetParam());
  }
}

TEST_P(ScreenOf, AScreenedEncodeHasTheBitsOfTheUnscreenedWhereBoundsDoNotSeparate) {
  // Latents that differ less than bf16 can tell, in part not at all.
  Encodes encodes = random_encodes(40, 1200, 64);
  encodes.bias.assign(1200, 0.0f);
  for (int64_t i = 0; i < 1200; ++i) {
    for (int64_t c = 0; c < 64; ++c)
      encodes.w.at(i, c) = encodes.w.at(0, c) * (1.0f + 1e-5f * static_cast<float>(i % 7));
  }
  encodes.eligible.assign((1200 + 63) / 64, ~0ull);
  encodes.expect_same(GetParam());
}

TEST_P(ScreenOf, AScreenedEncodeHasTheBitsOfTheUnscreenedWithInfinityAndLargeValues) {
  Encodes encodes = random_encodes(40, 700, 48);
  encodes.x.at(3, 3) = kInfinity;
  encodes.w.at(100, 2) = 1e30f;
  encodes.w.at(101, 2) = -3e38f;
  scale_rows(encodes.x, {1.0f, 1e20f, 1e-30f});
  encodes.bias[7] = kInfinity;
  // Of one sign where the input is infinite: what is not a number would not be equal to itself.
  for (int64_t i = 0; i < 700; ++i) encodes.w.at(i, 3) = std::abs(encodes.w.at(i, 3)) + 0.1f;
  encodes.expect_same(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Isas, ScreenOf, ::testing::ValuesIn(isas_with_screen()),
                         [](const auto& which) { return std::string(kernels::name_of(which.param)); });

}  // namespace
}  // namespace orthant
