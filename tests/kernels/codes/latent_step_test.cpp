#include "kernels/codes/latent_step.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/ref/latent_step.h"
#include "tests/support/random_paths.h"

namespace orthant::kernels {
namespace {

using testing::Bf16Moments;
using testing::full_args;
using testing::in_f64;
using testing::largest;
using testing::make_vector;
using testing::PathShape;
using testing::random_matrix;
using testing::RandomPaths;
using testing::rounded_at_random;
using testing::same_bits;
using testing::SliceTensors;
using testing::with_threads;
using testing::zero_matrix;

constexpr PathShape kShapes[] = {
    {1, 1, 1, 1}, {8, 7, 3, 2}, {20, 40, 37, 6}, {60, 70, 576, 20}, {9, 5, 1100, 4}};
constexpr DecoderNorm kNorms[] = {DecoderNorm::kFree, DecoderNorm::kUnitBeforeStep,
                                  DecoderNorm::kUnitAfterStep};

struct GradientTensors {
  GradientTensors(int64_t latents, int64_t d_model)
      : encoder(zero_matrix(latents, d_model)),
        decoder(zero_matrix(latents, d_model)),
        bias(make_vector<float>(latents)) {}
  [[nodiscard]] LatentGradients view() { return {encoder.view(), decoder.view(), bias.view()}; }
  Tensor<float, 2> encoder, decoder;
  Tensor<float, 1> bias;
};

void expect_near(const float* actual, const std::vector<double>& expected, double tolerance) {
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(actual[i], expected[i], tolerance) << i;
}

class LatentStepShapes : public ::testing::TestWithParam<PathShape> {
 protected:
  Stream stream_;
};

TEST_P(LatentStepShapes, RawGradientsMatchTheReferenceAndAccumulate) {
  const PathShape shape = GetParam();
  for (const int path_count : {0, 1, 2}) {
    const RandomPaths paths(shape, path_count, 1);
    const ref::LatentRows expected = ref::latent_gradients(paths.args(), 0, shape.latents);
    GradientTensors once(shape.latents, shape.d_model), twice(shape.latents, shape.d_model);
    accumulate_latent_gradients(paths.args(), false, once.view(), stream_);
    // Chains of some forty products of normal draws, each step rounded to half a unit in the last place.
    expect_near(once.encoder.data(), expected.encoder, 2e-6 * (1.0 + largest(expected.encoder)));
    expect_near(once.decoder.data(), expected.decoder, 2e-6 * (1.0 + largest(expected.decoder)));
    expect_near(once.bias.data(), expected.bias, 1e-7 * (1.0 + largest(expected.bias)));
    accumulate_latent_gradients(paths.args(), false, twice.view(), stream_);
    accumulate_latent_gradients(paths.args(), true, twice.view(), stream_);
    for (float& x : once.encoder.view().span()) x *= 2.0f;
    for (float& x : once.decoder.view().span()) x *= 2.0f;
    for (float& x : once.bias.view().span()) x *= 2.0f;
    EXPECT_TRUE(same_bits(once.encoder.view(), twice.encoder.view()));
    EXPECT_TRUE(same_bits(once.decoder.view(), twice.decoder.view()));
    EXPECT_TRUE(same_bits(once.bias.view(), twice.bias.view()));
  }
}

TEST_P(LatentStepShapes, FusedStepHasTheBitsOfTheStepsThroughGradientTensors) {
  const PathShape shape = GetParam();
  for (const DecoderNorm norm : kNorms) {
    for (const int path_count : {0, 1, 2}) {
      const RandomPaths paths(shape, path_count, 2);
      const LatentStepArgs args = full_args(paths, norm);
      SliceTensors fused(shape.latents, shape.d_model, 3), stored(shape.latents, shape.d_model, 3);
      GradientTensors gradients(shape.latents, shape.d_model);
      latent_step(args, fused.slice(), stream_);
      accumulate_latent_gradients(args, false, gradients.view(), stream_);
      finish_latent_gradients(args, stored.decoder.view(), gradients.view(), stream_);
      latent_step_from_gradients(args, gradients.view(), stored.slice(), stream_);
      EXPECT_TRUE(fused.same_bits_as(stored)) << static_cast<int>(norm) << ", " << path_count << " paths";
    }
  }
}

TEST_P(LatentStepShapes, TwoSlicesHaveTheBitsOfTheWhole) {
  const PathShape shape = GetParam();
  const int64_t cut = shape.latents / 3;
  for (const DecoderNorm norm : kNorms) {
    const RandomPaths all(shape, 2, 4), low(shape, 2, 4, 0, cut), high(shape, 2, 4, cut, shape.latents - cut);
    SliceTensors whole(shape.latents, shape.d_model, 5), parts(shape.latents, shape.d_model, 5);
    latent_step(full_args(all, norm), whole.slice(), stream_);
    latent_step(full_args(low, norm), parts.slice(0, cut), stream_);
    latent_step(full_args(high, norm), parts.slice(cut, shape.latents - cut), stream_);
    EXPECT_TRUE(whole.same_bits_as(parts)) << static_cast<int>(norm);
  }
}

TEST_P(LatentStepShapes, ThreadsDoNotChangeBits) {
  const PathShape shape = GetParam();
  const RandomPaths paths(shape, 2, 6);
  for (const DecoderNorm norm : kNorms) {
    SliceTensors one(shape.latents, shape.d_model, 7), two(shape.latents, shape.d_model, 7);
    with_threads(1, [&] { latent_step(full_args(paths, norm), one.slice(), stream_); });
    with_threads(2, [&] { latent_step(full_args(paths, norm), two.slice(), stream_); });
    EXPECT_TRUE(one.same_bits_as(two)) << static_cast<int>(norm);
  }
}

TEST_P(LatentStepShapes, GradientNormsAreThoseOfTheFinishedGradients) {
  const PathShape shape = GetParam();
  const RandomPaths paths(shape, 2, 8);
  const Tensor<float, 2> decoder = random_matrix(shape.latents, shape.d_model, 9);
  for (const DecoderNorm norm : kNorms) {
    const LatentStepArgs args = full_args(paths, norm);
    ref::LatentRows expected = ref::latent_gradients(args, 0, shape.latents);
    ref::finish_latent_gradients(args, in_f64(decoder), expected);
    for (const bool has_bias : {false, true}) {
      Tensor<double, 1> norms = make_vector<double>(shape.latents);
      latent_gradient_norms(args, decoder.view(), has_bias, norms.view(), stream_);
      for (int64_t i = 0; i < shape.latents; ++i) {
        const double bias = has_bias ? expected.bias[static_cast<size_t>(i)] : 0.0;
        double squares = bias * bias;
        for (int64_t c = i * shape.d_model; c < (i + 1) * shape.d_model; ++c) {
          squares += std::pow(expected.encoder[static_cast<size_t>(c)], 2);
          squares += std::pow(expected.decoder[static_cast<size_t>(c)], 2);
        }
        EXPECT_NEAR(norms.data()[i], squares, 1e-5 * squares + 1e-10) << i;
      }
    }
  }
}

TEST_P(LatentStepShapes, BiasGradientsAreSumsOfValueGradients) {
  const PathShape shape = GetParam();
  const RandomPaths paths(shape, 2, 10);
  Tensor<float, 1> sums = make_vector<float>(shape.latents);
  latent_bias_gradients(paths.args(), sums.view(), stream_);
  expect_near(sums.data(), ref::latent_gradients(paths.args(), 0, shape.latents).bias, 1e-5);
}

std::vector<float> values_of(const Tensor<float, 2>& tensor) {
  return {tensor.data(), tensor.data() + tensor.view().elements()};
}

TEST_P(LatentStepShapes, Bf16MomentsAreRoundedAfterTheUpdateOfF32) {
  const PathShape shape = GetParam();
  for (const DecoderNorm norm : kNorms) {
    const RandomPaths paths(shape, 2, 6);
    const LatentStepArgs args = full_args(paths, norm);
    SliceTensors exact(shape.latents, shape.d_model, 7), rounded(shape.latents, shape.d_model, 7);
    Bf16Moments moments(shape.latents, shape.d_model, 8);
    moments.widen_into(exact);
    latent_step(args, exact.slice(), stream_);
    latent_step(args, moments.put_into(rounded.slice()), stream_);
    const auto [encoder, decoder] = moments.values();
    EXPECT_EQ(encoder, rounded_at_random(args.adam, Purpose::kEncoderMomentRounding,
                                         values_of(exact.encoder_v), shape.d_model));
    EXPECT_EQ(decoder, rounded_at_random(args.adam, Purpose::kDecoderMomentRounding,
                                         values_of(exact.decoder_v), shape.d_model));
    exact.encoder_v.zero();
    exact.decoder_v.zero();
    EXPECT_TRUE(rounded.same_bits_as(exact)) << "parameters, first moments and biases of f32";
  }
}

TEST_P(LatentStepShapes, Bf16MomentsDependOnNeitherSlicesNorThreadsNorGradientTensors) {
  const PathShape shape = GetParam();
  const int64_t cut = shape.latents / 3;
  for (const DecoderNorm norm : kNorms) {
    const RandomPaths all(shape, 2, 4), low(shape, 2, 4, 0, cut), high(shape, 2, 4, cut, shape.latents - cut);
    SliceTensors whole(shape.latents, shape.d_model, 5), parts(shape.latents, shape.d_model, 5),
        stored(shape.latents, shape.d_model, 5);
    Bf16Moments of_whole(shape.latents, shape.d_model, 6), of_parts(shape.latents, shape.d_model, 6),
        of_stored(shape.latents, shape.d_model, 6);
    const LatentStepArgs args = full_args(all, norm);
    with_threads(1, [&] { latent_step(args, of_whole.put_into(whole.slice()), stream_); });
    const auto step_part = [&](const RandomPaths& paths, int64_t first, int64_t count) {
      const LatentSlice slice = of_parts.put_into(parts.slice(first, count), first, count);
      with_threads(2, [&] { latent_step(full_args(paths, norm), slice, stream_); });
    };
    step_part(low, 0, cut);
    step_part(high, cut, shape.latents - cut);
    EXPECT_TRUE(whole.same_bits_as(parts)) << static_cast<int>(norm);
    EXPECT_EQ(of_whole.values(), of_parts.values());
    GradientTensors gradients(shape.latents, shape.d_model);
    accumulate_latent_gradients(args, false, gradients.view(), stream_);
    finish_latent_gradients(args, stored.decoder.view(), gradients.view(), stream_);
    latent_step_from_gradients(args, gradients.view(), of_stored.put_into(stored.slice()), stream_);
    EXPECT_TRUE(whole.same_bits_as(stored)) << static_cast<int>(norm);
    EXPECT_EQ(of_whole.values(), of_stored.values());
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, LatentStepShapes, ::testing::ValuesIn(kShapes));

class LatentStepNorms : public ::testing::TestWithParam<DecoderNorm> {
 protected:
  Stream stream_;
};

TEST_P(LatentStepNorms, HundredStepsFollowAdamInDoublePrecision) {
  constexpr PathShape kShape{20, 12, 19, 4};
  SliceTensors actual(kShape.latents, kShape.d_model, 11);
  ref::LatentState expected;
  expected.parameters = {in_f64(actual.encoder), in_f64(actual.decoder), in_f64(actual.bias)};
  const ref::LatentRows zeros = {std::vector<double>(expected.parameters.encoder.size(), 0.0),
                                 std::vector<double>(expected.parameters.decoder.size(), 0.0),
                                 std::vector<double>(expected.parameters.bias.size(), 0.0)};
  expected.m = expected.v = zeros;
  const double lr = 1e-2;
  for (int64_t step = 1; step <= 100; ++step) {
    const RandomPaths paths(kShape, 2, 100 + static_cast<uint64_t>(step));
    LatentStepArgs args = full_args(paths, GetParam());
    args.adam.step = step;
    latent_step(args, actual.slice(), stream_);
    ref::latent_step(args, ref::latent_gradients(args, 0, kShape.latents), expected);
    // Each step rounds the parameters, of size up to about 4, and errs by some 1e-5 of a step of size lr.
    const double tolerance = static_cast<double>(step) * (4.0 * 1.2e-7 + 1e-5 * lr);
    expect_near(actual.encoder.data(), expected.parameters.encoder, tolerance);
    expect_near(actual.decoder.data(), expected.parameters.decoder, tolerance);
    expect_near(actual.bias.data(), expected.parameters.bias, tolerance);
  }
  expect_near(actual.decoder_m.data(), expected.m.decoder, 1e-5 * largest(expected.m.decoder));
  expect_near(actual.encoder_v.data(), expected.v.encoder, 1e-5 * largest(expected.v.encoder));
}

INSTANTIATE_TEST_SUITE_P(Norms, LatentStepNorms, ::testing::ValuesIn(kNorms));

TEST(LatentStep, LatentsWithoutEntriesDecayTheirMomentsAndStillMove) {
  Stream stream;
  const RandomPaths paths({4, 3, 5, 0}, 1, 12);
  SliceTensors tensors(3, 5, 13);
  for (float& x : tensors.encoder_m.view().span()) x = 1.0f;
  for (float& x : tensors.encoder_v.view().span()) x = 4.0f;
  const Tensor<float, 2> before = testing::copy_of(tensors.encoder);
  LatentStepArgs args = paths.args();
  args.adam = {.lr = 0.5f, .beta1 = 0.5f, .beta2 = 0.75f, .epsilon = 0.0f, .weight_decay = 0.0f, .step = 1};
  latent_step(args, tensors.slice(), stream);
  for (int64_t i = 0; i < 15; ++i) {
    EXPECT_FLOAT_EQ(tensors.encoder_m.data()[i], 0.5f);
    EXPECT_FLOAT_EQ(tensors.encoder_v.data()[i], 3.0f);
    // Corrected: m = 0.5 / 0.5, v = 3 / 0.25.
    EXPECT_NEAR(tensors.encoder.data()[i], before.data()[i] - 0.5 / std::sqrt(12.0), 1e-6);
  }
}

TEST(LatentStep, AFrozenEncoderOrDecoderIsLeftAsItIs) {
  Stream stream;
  const RandomPaths paths({10, 6, 7, 3}, 1, 14);
  SliceTensors whole(6, 7, 15), partial(6, 7, 15), initial(6, 7, 15);
  const LatentStepArgs args = full_args(paths, DecoderNorm::kUnitAfterStep);
  latent_step(args, whole.slice(), stream);
  LatentSlice encoder_only = partial.slice();
  encoder_only.decoder = encoder_only.decoder_m = {};
  encoder_only.decoder_v = {};
  encoder_only.bias = encoder_only.bias_m = encoder_only.bias_v = {};
  latent_step(args, encoder_only, stream);
  EXPECT_TRUE(same_bits(partial.encoder.view(), whole.encoder.view()));
  EXPECT_TRUE(same_bits(partial.decoder.view(), initial.decoder.view()));
  EXPECT_TRUE(same_bits(partial.bias.view(), initial.bias.view()));
}

TEST(LatentStep, SecondMomentsStoredInTwoWaysAreRefused) {
  Stream stream;
  const RandomPaths paths({10, 6, 7, 3}, 1, 20);
  SliceTensors tensors(6, 7, 21);
  Bf16Moments moments(6, 7, 22);
  LatentSlice slice = moments.put_into(tensors.slice());
  slice.encoder_v = tensors.encoder_v.view();
  EXPECT_THROW(latent_step(paths.args(), slice, stream), Error);
  Bf16Moments narrow(6, 6, 22);
  EXPECT_THROW(latent_step(paths.args(), narrow.put_into(tensors.slice()), stream), Error);
}

TEST(LatentStep, UnitRowsAreUnitAndGradientsOrthogonalToThem) {
  Stream stream;
  const RandomPaths paths({30, 9, 33, 4}, 2, 16);
  for (const DecoderNorm norm : {DecoderNorm::kUnitBeforeStep, DecoderNorm::kUnitAfterStep}) {
    const LatentStepArgs args = full_args(paths, norm);
    SliceTensors tensors(9, 33, 17);
    GradientTensors gradients(9, 33);
    accumulate_latent_gradients(args, false, gradients.view(), stream);
    finish_latent_gradients(args, tensors.decoder.view(), gradients.view(), stream);
    latent_step(args, tensors.slice(), stream);
    SliceTensors before(9, 33, 17);
    for (int64_t i = 0; i < 9; ++i) {
      double along = 0.0, squares = 0.0;
      for (int64_t c = 0; c < 33; ++c) {
        along += static_cast<double>(gradients.decoder.view().row(i)[c]) * before.decoder.view().row(i)[c];
        squares += std::pow(tensors.decoder.view().row(i)[c], 2);
      }
      EXPECT_NEAR(along, 0.0, 1e-4);
      EXPECT_NEAR(squares, 1.0,
                  norm == DecoderNorm::kUnitAfterStep ? 1e-6 : 0.3);  // a step of 0.01 off the sphere
    }
  }
}

TEST(LatentStep, ARowOfZerosStaysFinite) {
  Stream stream;
  const RandomPaths paths({10, 6, 7, 3}, 1, 18);
  for (const DecoderNorm norm : kNorms) {
    SliceTensors tensors(6, 7, 19);
    tensors.decoder.zero();
    latent_step(full_args(paths, norm), tensors.slice(), stream);
    for (const float x : tensors.decoder.view().span()) EXPECT_TRUE(std::isfinite(x));
  }
}

TEST(LatentStep, RejectsShapesThatDoNotFit) {
  Stream stream;
  const RandomPaths paths({10, 6, 7, 3}, 1, 20);
  SliceTensors other_latents(5, 7, 21), other_width(6, 8, 21);
  EXPECT_THROW(latent_step(paths.args(), other_latents.slice(), stream), Error);
  EXPECT_THROW(latent_step(paths.args(), other_width.slice(), stream), Error);
  LatentStepArgs wide = paths.args();
  wide.input.shape[1] = 1 << 20;
  EXPECT_THROW(latent_step(wide, other_width.slice(), stream), Error);
}

TEST(AdamVector, FollowsTheReferenceForHundredSteps) {
  Stream stream;
  constexpr int64_t kElements = 9001;
  Tensor<float, 2> parameter = random_matrix(1, kElements, 22), m = zero_matrix(1, kElements),
                   v = zero_matrix(1, kElements);
  std::vector<double> expected = in_f64(parameter), expected_m(kElements, 0.0), expected_v(kElements, 0.0);
  const auto flat = [](Tensor<float, 2>& t) { return Vector<float>{t.data(), {t.shape()[1]}, kCpu}; };
  for (int64_t step = 1; step <= 100; ++step) {
    Tensor<float, 2> gradient = random_matrix(1, kElements, 1000 + static_cast<uint64_t>(step));
    const AdamConstants adam{.lr = 1e-3f, .weight_decay = 0.1f, .step = step};
    adam_vector(adam, 2.0f, flat(gradient), flat(parameter), flat(m), flat(v), stream);
    ref::adam(adam, 2.0, in_f64(gradient), expected, expected_m, expected_v);
  }
  expect_near(parameter.data(), expected, 100 * (4.0 * 1.2e-7 + 1e-5 * 1e-3));
}

TEST(NormalizeRows, GivesUnitRowsAndLeavesZerosFinite) {
  Stream stream;
  Tensor<float, 2> matrix = random_matrix(5, 77, 23);
  std::fill(matrix.view().row(2), matrix.view().row(3), 0.0f);
  normalize_rows(matrix.view(), stream);
  for (int64_t i = 0; i < 5; ++i) {
    double squares = 0.0;
    for (int64_t c = 0; c < 77; ++c) squares += std::pow(matrix.view().row(i)[c], 2);
    EXPECT_NEAR(squares, i == 2 ? 0.0 : 1.0, 1e-6);
  }
}

}  // namespace
}  // namespace orthant::kernels
