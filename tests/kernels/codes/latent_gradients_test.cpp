// The kernels of one training step, joined as a trainer joins them, against finite differences of the whole
// loss.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/codes/decode.h"
#include "kernels/codes/latent_step.h"
#include "tests/support/random_paths.h"

namespace orthant::kernels {
namespace {

using testing::random_matrix;
using testing::zero_matrix;

constexpr int64_t kRows = 6, kLatents = 9, kWidth = 5;
constexpr double kScale = 1.0 / (kRows * kWidth);
constexpr double kAuxiliaryWeight = 0.25;

struct Parameters {
  std::vector<double> encoder, decoder, encoder_bias, decoder_bias;
  [[nodiscard]] std::vector<std::vector<double>*> all() {
    return {&encoder, &decoder, &encoder_bias, &decoder_bias};
  }
};

std::vector<double> in_f64(const Tensor<float, 2>& tensor) {
  return {tensor.data(), tensor.data() + tensor.view().elements()};
}

// Latents selected in a row: the main path takes the lower ones, the auxiliary path the others.
bool selected(int64_t row, int64_t latent, bool auxiliary) {
  if (auxiliary != (latent >= 6)) return false;
  return random_u64(3, Purpose::kTest, 7, static_cast<uint64_t>(row * kLatents + latent)) % 3 != 0;
}

double activation(const Parameters& p, const std::vector<double>& input, int64_t row, int64_t latent) {
  double sum = p.encoder_bias[static_cast<size_t>(latent)];
  for (int64_t c = 0; c < kWidth; ++c) {
    const double centred =
        input[static_cast<size_t>(row * kWidth + c)] - p.decoder_bias[static_cast<size_t>(c)];
    sum += centred * p.encoder[static_cast<size_t>(latent * kWidth + c)];
  }
  return std::max(sum, 0.0);
}

// Sum of selected activations times decoder rows, without bias: [rows, width].
std::vector<double> decoded(const Parameters& p, const std::vector<double>& input, bool auxiliary) {
  std::vector<double> out(kRows * kWidth, 0.0);
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t i = 0; i < kLatents; ++i) {
      if (!selected(r, i, auxiliary)) continue;
      const double a = activation(p, input, r, i);
      for (int64_t c = 0; c < kWidth; ++c) {
        out[static_cast<size_t>(r * kWidth + c)] += a * p.decoder[static_cast<size_t>(i * kWidth + c)];
      }
    }
  }
  return out;
}

std::vector<double> residual(const Parameters& p, const std::vector<double>& input) {
  std::vector<double> error = decoded(p, input, false);
  for (size_t i = 0; i < error.size(); ++i) error[i] = input[i] - error[i] - p.decoder_bias[i % kWidth];
  return error;
}

struct Mode {
  bool auxiliary;
  bool detached;
};

// `fixed` is the residual that a detached auxiliary loss reconstructs.
double loss(const Parameters& p, const std::vector<double>& input, Mode mode,
            const std::vector<double>& fixed) {
  double total = 0.0;
  const std::vector<double> error = residual(p, input);
  for (const double e : error) total += kScale * e * e;
  if (!mode.auxiliary) return total;
  const std::vector<double> target = mode.detached ? fixed : error, guess = decoded(p, input, true);
  for (size_t i = 0; i < guess.size(); ++i)
    total += kAuxiliaryWeight * kScale * std::pow(target[i] - guess[i], 2);
  return total;
}

Codes codes_of(const Parameters& p, const std::vector<double>& input, bool auxiliary) {
  Codes codes(testing::test_memory(), kRows, kRows * kLatents);
  const CodesView view = codes.view();
  int64_t entry = 0;
  view.row_offsets.data[0] = 0;
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t i = 0; i < kLatents; ++i) {
      if (!selected(r, i, auxiliary)) continue;
      view.latents.data[entry] = static_cast<int32_t>(i);
      view.values.data[entry] = static_cast<float>(activation(p, input, r, i));
      ++entry;
    }
    view.row_offsets.data[r + 1] = entry;
  }
  return codes;
}

class LatentGradients : public ::testing::TestWithParam<Mode> {
 protected:
  LatentGradients()
      : input_(random_matrix(kRows, kWidth, 1)),
        encoder_(random_matrix(kLatents, kWidth, 2)),
        decoder_(random_matrix(kLatents, kWidth, 3)),
        encoder_bias_(random_matrix(1, kLatents, 4)),
        decoder_bias_(random_matrix(1, kWidth, 5)) {}

  // Gradients by the kernels, in the order of Parameters::all().
  std::vector<std::vector<double>> by_kernels(const Parameters& p, Mode mode) {
    Tensor<float, 2> centred = testing::copy_of(input_);
    for (int64_t i = 0; i < kRows * kWidth; ++i) centred.data()[i] -= decoder_bias_.data()[i % kWidth];
    Codes codes[2] = {codes_of(p, in_f64(input_), false), codes_of(p, in_f64(input_), true)};
    Tensor<float, 2> gradient[2] = {zero_matrix(kRows, kWidth), zero_matrix(kRows, kWidth)};
    LatentOrder order[2];
    Tensor<float, 1> products[2];
    Tensor<double, 1> unused = testing::make_vector<double>(kRows);
    const Vector<const float> bias{decoder_bias_.data(), {kWidth}, kCpu};
    const Matrix<float> main = gradient[0].view(), auxiliary = gradient[1].view();
    decode(codes[0].view(), 0, decoder_.view(), DecodeStart::kBias, bias, main, stream_);
    Tensor<float, 2> error = testing::copy_of(input_);
    for (int64_t i = 0; i < kRows * kWidth; ++i) error.data()[i] -= main.data[i];
    reconstruction_error(input_.view(), main, static_cast<float>(2.0 * kScale), main, unused.view(), stream_);
    if (mode.auxiliary) {
      decode(codes[1].view(), 0, decoder_.view(), DecodeStart::kZero, {}, auxiliary, stream_);
      reconstruction_error(error.view(), auxiliary, static_cast<float>(2.0 * kScale * kAuxiliaryWeight),
                           auxiliary, unused.view(), stream_);
      for (int64_t i = 0; i < kRows * kWidth && !mode.detached; ++i) main.data[i] += auxiliary.data[i];
    }
    std::vector<CodePath> paths;
    for (int i = 0; i < (mode.auxiliary ? 2 : 1); ++i) {
      order[i] = LatentOrder(testing::test_memory(), kLatents, kRows * kLatents);
      products[i] = testing::make_vector<float>(kRows * kLatents);
      value_gradients(codes[i].view(), 0, decoder_.view(), gradient[i].view(), products[i].view(), stream_);
      sort_by_latent(codes[i].view(), 0, order[i].view(), stream_);
      paths.push_back({codes[i].view(), order[i].view(), products[i].view(), gradient[i].view()});
    }
    LatentStepArgs args;
    args.input = centred.view();
    args.paths = paths.data();
    args.path_count = static_cast<int>(paths.size());
    return gathered(args, main);
  }

  std::vector<std::vector<double>> gathered(const LatentStepArgs& args, Matrix<const float> output_gradient) {
    Tensor<float, 2> encoder = zero_matrix(kLatents, kWidth), decoder = zero_matrix(kLatents, kWidth);
    Tensor<float, 2> bias = zero_matrix(1, kLatents);
    const Vector<float> bias_row{bias.data(), {kLatents}, kCpu};
    kernels::LatentGradients out{encoder.view(), decoder.view(), bias_row};
    accumulate_latent_gradients(args, false, out, stream_);
    Tensor<double, 1> sums = testing::make_vector<double>(kWidth);
    column_sums(output_gradient, sums.view(), stream_);
    std::vector<double> decoder_bias(sums.data(), sums.data() + kWidth);
    for (int64_t i = 0; i < kLatents * kWidth; ++i) {
      decoder_bias[static_cast<size_t>(i % kWidth)] -=
          static_cast<double>(bias.data()[i / kWidth]) * static_cast<double>(encoder_.data()[i]);
    }
    return {in_f64(encoder), in_f64(decoder), in_f64(bias), decoder_bias};
  }

  Stream stream_;
  Tensor<float, 2> input_, encoder_, decoder_, encoder_bias_, decoder_bias_;
};

TEST_P(LatentGradients, MatchFiniteDifferencesOfTheLoss) {
  const std::vector<double> input = in_f64(input_);
  Parameters p{in_f64(encoder_), in_f64(decoder_), in_f64(encoder_bias_), in_f64(decoder_bias_)};
  const auto actual = by_kernels(p, GetParam());
  const std::vector<double> fixed = residual(p, input);
  constexpr double kStep = 1e-5;
  for (size_t tensor = 0; tensor < actual.size(); ++tensor) {
    std::vector<double>& values = *p.all()[tensor];
    for (size_t i = 0; i < values.size(); ++i) {
      const double before = values[i];
      values[i] = before + kStep;
      const double above = loss(p, input, GetParam(), fixed);
      values[i] = before - kStep;
      const double below = loss(p, input, GetParam(), fixed);
      values[i] = before;
      const double expected = (above - below) / (2.0 * kStep);
      EXPECT_NEAR(actual[tensor][i], expected, 2e-6 * (1.0 + std::abs(expected))) << tensor << ", " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, LatentGradients,
                         ::testing::Values(Mode{false, false}, Mode{true, true}, Mode{true, false}));

}  // namespace
}  // namespace orthant::kernels
