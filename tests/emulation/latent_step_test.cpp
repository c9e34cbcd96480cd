#include "kernels/ref/latent_step.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/codes/latent_step_cuda.h"
#include "tests/emulation/device_paths.h"

namespace orthant::kernels {
namespace {

using testing::Bf16Moments;
using testing::can_leave_out_barriers;
using testing::DeviceArray;
using testing::DeviceBf16Moments;
using testing::DevicePaths;
using testing::DeviceSlice;
using testing::full_args;
using testing::in_every_order;
using testing::in_f64;
using testing::largest;
using testing::on_device;
using testing::PathShape;
using testing::random_matrix;
using testing::RandomPaths;
using testing::rounded_at_random;
using testing::same_bytes;
using testing::SliceTensors;
using testing::SliceValues;

struct Shape {
  PathShape paths;
  int64_t offset = 0;  // of every array, in elements
};

constexpr Shape kShapes[] = {{{1, 1, 1, 1}},    {{8, 7, 3, 2}},    {{20, 12, 64, 6}},   {{20, 12, 64, 6}, 1},
                             {{30, 9, 576, 7}}, {{9, 5, 1100, 4}}, {{9, 5, 1101, 4}, 3}};
constexpr DecoderNorm kNorms[] = {DecoderNorm::kFree, DecoderNorm::kUnitBeforeStep,
                                  DecoderNorm::kUnitAfterStep};

void expect_near(const std::vector<float>& found, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(found[i], expected[i], tolerance) << i;
}

struct GradientArrays {
  GradientArrays(int64_t latents, int64_t width, int64_t offset = 0)
      : encoder(latents * width, offset), decoder(latents * width, offset), bias(latents), columns(width) {}
  [[nodiscard]] LatentGradients view() const {
    return {encoder.matrix(columns), decoder.matrix(columns), bias.vector()};
  }
  [[nodiscard]] auto values() const { return std::tuple(encoder.values(), decoder.values(), bias.values()); }
  DeviceArray<float> encoder, decoder, bias;
  int64_t columns;
};

using LatentStepKernels = testing::KernelShapes<Shape>;

TEST_P(LatentStepKernels, RawGradientsMatchTheReferenceAndAccumulate) {
  const auto [shape, offset] = GetParam();
  for (const int path_count : {0, 1, 2}) {
    const RandomPaths host(shape, path_count, 1);
    const DevicePaths paths(host.args(), offset);
    const auto gradients_after = [&](int times) {
      const GradientArrays out(shape.latents, shape.d_model, offset);
      for (int i = 0; i < times; ++i) {
        cuda::accumulate_latent_gradients(paths.args(), i > 0, out.view(), stream_);
      }
      return out.values();
    };
    const auto [encoder, decoder, bias] = in_every_order([&] { return gradients_after(1); });
    const ref::LatentRows expected = ref::latent_gradients(host.args(), 0, shape.latents);
    expect_near(encoder, expected.encoder, 2e-6 * (1.0 + largest(expected.encoder)));
    expect_near(decoder, expected.decoder, 2e-6 * (1.0 + largest(expected.decoder)));
    expect_near(bias, expected.bias, 1e-7 * (1.0 + largest(expected.bias)));
    const std::vector<float> twice = std::get<0>(gradients_after(2));
    for (size_t i = 0; i < twice.size(); ++i) ASSERT_EQ(twice[i], 2.0f * encoder[i]) << i;
  }
}

TEST_P(LatentStepKernels, FusedStepHasTheBitsOfTheStepsThroughGradientTensors) {
  const auto [shape, offset] = GetParam();
  for (const DecoderNorm norm : kNorms) {
    for (const int path_count : {0, 2}) {
      const RandomPaths host(shape, path_count, 2);
      const DevicePaths paths(full_args(host, norm), offset);
      SliceTensors start(shape.latents, shape.d_model, 3);
      const auto fused = [&] {
        const DeviceSlice slice(start, offset);
        cuda::latent_step(paths.args(), slice.slice(), stream_);
        return slice.values();
      };
      const auto stored = [&] {
        const DeviceSlice slice(start, offset);
        const GradientArrays gradients(shape.latents, shape.d_model, offset);
        cuda::accumulate_latent_gradients(paths.args(), false, gradients.view(), stream_);
        cuda::finish_latent_gradients(paths.args(), slice.slice().decoder, gradients.view(), stream_);
        cuda::latent_step_from_gradients(paths.args(), gradients.view(), slice.slice(), stream_);
        return slice.values();
      };
      EXPECT_TRUE(same_bytes(in_every_order(fused), in_every_order(stored)))
          << static_cast<int>(norm) << ", " << path_count << " paths";
      if (can_leave_out_barriers() && norm != DecoderNorm::kFree && shape.d_model > 128) {
        EXPECT_TRUE(testing::needs_its_barriers(fused));
        EXPECT_TRUE(testing::needs_its_barriers(stored));
      }
    }
  }
}

TEST_P(LatentStepKernels, StepMatchesTheReference) {
  const auto [shape, offset] = GetParam();
  // Beside its own direction a row of one element has no gradient: Adam would enlarge what rounding leaves.
  if (shape.d_model == 1) return;
  for (const DecoderNorm norm : kNorms) {
    const RandomPaths host(shape, 2, 6);
    const LatentStepArgs args = full_args(host, norm);
    const DevicePaths paths(args, offset);
    SliceTensors start(shape.latents, shape.d_model, 7);
    ref::LatentState expected;
    expected.parameters = {in_f64(start.encoder), in_f64(start.decoder), in_f64(start.bias)};
    expected.m = expected.v = {std::vector<double>(expected.parameters.encoder.size(), 0.0),
                               std::vector<double>(expected.parameters.decoder.size(), 0.0),
                               std::vector<double>(expected.parameters.bias.size(), 0.0)};
    ref::latent_step(args, ref::latent_gradients(args, 0, shape.latents), expected);
    const DeviceSlice slice(start, offset);
    cuda::latent_step(paths.args(), slice.slice(), stream_);
    const auto values = slice.values();
    expect_near(std::get<0>(values), expected.parameters.encoder, 1e-6);
    expect_near(std::get<1>(values), expected.parameters.decoder, 1e-6);
    expect_near(std::get<2>(values), expected.parameters.bias, 1e-6);
    expect_near(std::get<5>(values), expected.m.decoder, 1e-5 * (1.0 + largest(expected.m.decoder)));
    expect_near(std::get<4>(values), expected.v.encoder, 1e-5 * (1.0 + largest(expected.v.encoder)));
  }
}

TEST_P(LatentStepKernels, StepHasTheBitsOfTheCpu) {
  const auto [shape, offset] = GetParam();
  for (const DecoderNorm norm : kNorms) {
    for (const int path_count : {0, 1, 2}) {
      const RandomPaths host(shape, path_count, 6);
      const LatentStepArgs args = full_args(host, norm);
      const DevicePaths paths(args, offset);
      SliceTensors slice(shape.latents, shape.d_model, 7);
      const DeviceSlice there(slice, offset);
      cuda::latent_step(paths.args(), there.slice(), stream_);
      Stream cpu;
      latent_step(args, slice.slice(), cpu);
      EXPECT_TRUE(same_bytes(there.values(), DeviceSlice(slice, offset).values()))
          << static_cast<int>(norm) << ", " << path_count << " paths";
    }
  }
}

TEST_P(LatentStepKernels, Bf16MomentsAreRoundedAfterTheUpdateOfF32) {
  const auto [shape, offset] = GetParam();
  for (const DecoderNorm norm : kNorms) {
    const RandomPaths host(shape, 2, 6);
    const LatentStepArgs args = full_args(host, norm);
    const DevicePaths paths(args, offset);
    SliceTensors start(shape.latents, shape.d_model, 7);
    const Bf16Moments moments(shape.latents, shape.d_model, 8);
    const auto stepped = [&](bool through_tensors) {
      const DeviceSlice slice(start, offset);
      const DeviceBf16Moments second(moments, offset);
      const LatentSlice all = second.put_into(slice.slice());
      if (through_tensors) {
        const GradientArrays gradients(shape.latents, shape.d_model, offset);
        cuda::accumulate_latent_gradients(paths.args(), false, gradients.view(), stream_);
        cuda::finish_latent_gradients(paths.args(), all.decoder, gradients.view(), stream_);
        cuda::latent_step_from_gradients(paths.args(), gradients.view(), all, stream_);
      } else {
        cuda::latent_step(paths.args(), all, stream_);
      }
      return std::tuple_cat(slice.values(), second.values());
    };
    const auto values = in_every_order([&] { return stepped(false); });
    EXPECT_TRUE(same_bytes(values, in_every_order([&] { return stepped(true); })));

    SliceTensors widened(shape.latents, shape.d_model, 7);
    moments.widen_into(widened);
    const DeviceSlice exact(widened, offset);
    cuda::latent_step(paths.args(), exact.slice(), stream_);
    const SliceValues expected = exact.values();
    EXPECT_TRUE(same_bytes(std::get<0>(values), std::get<0>(expected)));
    EXPECT_TRUE(same_bytes(std::get<1>(values), std::get<1>(expected)));
    EXPECT_TRUE(same_bytes(std::get<2>(values), std::get<2>(expected)));
    EXPECT_TRUE(same_bytes(std::get<5>(values), std::get<5>(expected)));
    EXPECT_EQ(std::get<9>(values), rounded_at_random(args.adam, Purpose::kEncoderMomentRounding,
                                                     std::get<4>(expected), shape.d_model));
    EXPECT_EQ(std::get<10>(values), rounded_at_random(args.adam, Purpose::kDecoderMomentRounding,
                                                      std::get<6>(expected), shape.d_model));
  }
}

TEST_P(LatentStepKernels, AStepFromGradientsInBf16HasTheBitsOfTheCpu) {
  const auto [shape, offset] = GetParam();
  const RandomPaths host(shape, 1, 16);
  const LatentStepArgs args = full_args(host, DecoderNorm::kUnitAfterStep);
  const DevicePaths paths(args, offset);
  Tensor<float, 2> encoder = random_matrix(shape.latents, shape.d_model, 17);
  Tensor<float, 2> decoder = random_matrix(shape.latents, shape.d_model, 18);
  Tensor<float, 2> bias = random_matrix(1, shape.latents, 19);
  SliceTensors start(shape.latents, shape.d_model, 20);
  Bf16Moments moments(shape.latents, shape.d_model, 21);
  const DeviceSlice slice(start, offset);
  const DeviceBf16Moments second(moments, offset);
  LatentSlice on_device_slice = second.put_into(slice.slice());
  LatentSlice on_host = moments.put_into(start.slice());
  on_device_slice.first_latent = on_host.first_latent = 1000;
  const auto device_encoder = on_device(encoder, offset), device_decoder = on_device(decoder, offset);
  const auto device_bias = on_device(bias);
  cuda::latent_step_from_gradients(
      paths.args(),
      {device_encoder.matrix(shape.d_model), device_decoder.matrix(shape.d_model), device_bias.vector()},
      on_device_slice, stream_);
  Stream host_stream;
  latent_step_from_gradients(args, {encoder.view(), decoder.view(), {bias.data(), {shape.latents}}}, on_host,
                             host_stream);
  EXPECT_EQ(second.values(), moments.values());
  EXPECT_TRUE(same_bytes(slice.values(), DeviceSlice(start, offset).values()));
}

TEST_P(LatentStepKernels, GradientNormsAreThoseOfTheFinishedGradients) {
  const auto [shape, offset] = GetParam();
  const RandomPaths host(shape, 2, 8);
  const Tensor<float, 2> decoder = random_matrix(shape.latents, shape.d_model, 9);
  const auto device_decoder = on_device(decoder, offset);
  for (const DecoderNorm norm : kNorms) {
    const LatentStepArgs args = full_args(host, norm);
    const DevicePaths paths(args, offset);
    ref::LatentRows expected = ref::latent_gradients(args, 0, shape.latents);
    ref::finish_latent_gradients(args, in_f64(decoder), expected);
    for (const bool has_bias : {false, true}) {
      const std::vector<double> norms = in_every_order([&] {
        const DeviceArray<double> out(shape.latents);
        cuda::latent_gradient_norms(paths.args(), device_decoder.matrix(shape.d_model), has_bias,
                                    out.vector(), stream_);
        return out.values();
      });
      Tensor<double, 1> of_cpu = testing::make_vector<double>(shape.latents);
      Stream cpu;
      latent_gradient_norms(args, decoder.view(), has_bias, of_cpu.view(), cpu);
      EXPECT_TRUE(same_bytes(norms, std::vector<double>(of_cpu.data(), of_cpu.data() + shape.latents)));
      for (size_t i = 0; i < norms.size(); ++i) {
        double squares = has_bias ? expected.bias[i] * expected.bias[i] : 0.0;
        const auto width = static_cast<size_t>(shape.d_model);
        for (size_t c = i * width; c < (i + 1) * width; ++c) {
          squares += std::pow(expected.encoder[c], 2) + std::pow(expected.decoder[c], 2);
        }
        EXPECT_NEAR(norms[i], squares, 1e-5 * squares + 1e-10) << i;
      }
    }
  }
}

TEST_P(LatentStepKernels, NormsOfStoredGradientsAreThoseOfTheCpu) {
  const auto [shape, offset] = GetParam();
  Tensor<float, 2> encoder = random_matrix(shape.latents, shape.d_model, 11);
  Tensor<float, 2> decoder = random_matrix(shape.latents, shape.d_model, 12);
  Tensor<float, 2> bias = random_matrix(1, shape.latents, 13);
  const auto device_encoder = on_device(encoder, offset), device_decoder = on_device(decoder, offset);
  const auto device_bias = on_device(bias);
  for (const bool has_bias : {false, true}) {
    Tensor<double, 1> expected = testing::make_vector<double>(shape.latents);
    Stream host;
    stored_gradient_norms({encoder.view(), decoder.view(), {bias.data(), {has_bias ? shape.latents : 0}}},
                          expected.view(), host);
    const std::vector<double> norms = in_every_order([&] {
      const DeviceArray<double> out(shape.latents);
      Vector<float> biases = device_bias.vector();
      if (!has_bias) biases.shape[0] = 0;
      cuda::stored_gradient_norms(
          {device_encoder.matrix(shape.d_model), device_decoder.matrix(shape.d_model), biases}, out.vector(),
          stream_);
      return out.values();
    });
    EXPECT_TRUE(same_bytes(norms, std::vector<double>(expected.data(), expected.data() + shape.latents)));
  }
}

TEST_P(LatentStepKernels, BiasGradientsAreSumsOfValueGradients) {
  const auto [shape, offset] = GetParam();
  const RandomPaths host(shape, 2, 10);
  const DevicePaths paths(host.args(), offset);
  const std::vector<float> sums = in_every_order([&] {
    const DeviceArray<float> out(shape.latents);
    cuda::latent_bias_gradients(paths.args(), out.vector(), stream_);
    return out.values();
  });
  expect_near(sums, ref::latent_gradients(host.args(), 0, shape.latents).bias, 1e-5);
  Tensor<float, 1> of_cpu = testing::make_vector<float>(shape.latents);
  Stream cpu;
  latent_bias_gradients(host.args(), of_cpu.view(), cpu);
  EXPECT_TRUE(same_bytes(sums, std::vector<float>(of_cpu.data(), of_cpu.data() + shape.latents)));
}

INSTANTIATE_TEST_SUITE_P(Shapes, LatentStepKernels, ::testing::ValuesIn(kShapes));

using LatentStepKernel = testing::KernelTest;

TEST_F(LatentStepKernel, AFrozenEncoderOrDecoderIsLeftAsItIs) {
  const RandomPaths host({10, 6, 7, 3}, 1, 14);
  const DevicePaths paths(full_args(host, DecoderNorm::kUnitAfterStep));
  SliceTensors start(6, 7, 15);
  const DeviceSlice whole(start), partial(start), initial(start);
  cuda::latent_step(paths.args(), whole.slice(), stream_);
  LatentSlice encoder_only = partial.slice();
  encoder_only.decoder = encoder_only.decoder_m = {};
  encoder_only.decoder_v = {};
  encoder_only.bias = encoder_only.bias_m = encoder_only.bias_v = {};
  cuda::latent_step(paths.args(), encoder_only, stream_);
  EXPECT_TRUE(same_bytes(std::get<0>(partial.values()), std::get<0>(whole.values())));
  EXPECT_TRUE(same_bytes(std::get<1>(partial.values()), std::get<1>(initial.values())));
  EXPECT_TRUE(same_bytes(std::get<2>(partial.values()), std::get<2>(initial.values())));
}

TEST_F(LatentStepKernel, ARowOfZerosStaysFinite) {
  const RandomPaths host({10, 6, 7, 3}, 1, 18);
  for (const DecoderNorm norm : kNorms) {
    SliceTensors start(6, 7, 19);
    start.decoder.zero();
    const DevicePaths paths(full_args(host, norm));
    const DeviceSlice slice(start);
    cuda::latent_step(paths.args(), slice.slice(), stream_);
    const auto values = slice.values();
    for (const float x : std::get<1>(values)) EXPECT_TRUE(std::isfinite(x));
  }
}

TEST_F(LatentStepKernel, AdamOfAVectorHasTheBitsOfTheCpu) {
  for (const int64_t elements : {1, 256, 1001}) {
    Tensor<float, 2> parameter = random_matrix(1, elements, 22), m = random_matrix(1, elements, 23),
                     v = testing::zero_matrix(1, elements), gradient = random_matrix(1, elements, 24);
    const auto device_parameter = on_device(parameter), device_m = on_device(m), device_v = on_device(v),
               device_gradient = on_device(gradient);
    const AdamConstants adam{.lr = 1e-3f, .weight_decay = 0.1f, .step = 7};
    const auto flat = [](Tensor<float, 2>& t) { return Vector<float>{t.data(), {t.shape()[1]}, kCpu}; };
    Stream stream;
    adam_vector(adam, 2.0f, flat(gradient), flat(parameter), flat(m), flat(v), stream);
    cuda::adam_vector(adam, 2.0f, device_gradient.vector(), device_parameter.vector(), device_m.vector(),
                      device_v.vector(), stream_);
    EXPECT_TRUE(same_bytes(device_parameter.values(),
                           std::vector<float>(parameter.data(), parameter.data() + elements)));
    EXPECT_TRUE(same_bytes(device_m.values(), std::vector<float>(m.data(), m.data() + elements)));
    EXPECT_TRUE(same_bytes(device_v.values(), std::vector<float>(v.data(), v.data() + elements)));
  }
}

TEST_F(LatentStepKernel, NormalizedRowsAreUnitAndZerosStayFinite) {
  for (const int64_t width : {1, 77, 512}) {
    Tensor<float, 2> matrix = random_matrix(5, width, 23);
    std::fill(matrix.view().row(2), matrix.view().row(3), 0.0f);
    const std::vector<float> rows = in_every_order([&] {
      const auto device = on_device(matrix);
      cuda::normalize_rows(device.matrix(width), stream_);
      return device.values();
    });
    for (int64_t i = 0; i < 5; ++i) {
      double squares = 0.0;
      for (int64_t c = 0; c < width; ++c) squares += std::pow(rows[static_cast<size_t>(i * width + c)], 2);
      EXPECT_NEAR(squares, i == 2 ? 0.0 : 1.0, 1e-6);
    }
    Stream cpu;
    normalize_rows(matrix.view(), cpu);
    EXPECT_TRUE(same_bytes(rows, std::vector<float>(matrix.data(), matrix.data() + 5 * width)));
  }
}

TEST_F(LatentStepKernel, ThreePathsAreRefused) {
  const RandomPaths host({4, 3, 5, 2}, 3, 12);
  const DevicePaths paths(host.args());
  const DeviceArray<float> bias(3);
  EXPECT_THROW(cuda::latent_bias_gradients(paths.args(), bias.vector(), stream_), Error);
}

}  // namespace
}  // namespace orthant::kernels
