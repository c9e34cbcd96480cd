// Twelve steps of an independent float64 program in the conventions of the BatchTopK lineage, repeated with
// the kernels: batch selection, an auxiliary loss that reaches the main reconstruction, unit rows, AdamW.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/codes/decode.h"
#include "kernels/codes/latent_step.h"
#include "runtime/storage/safetensors.h"
#include "tests/support/random_paths.h"
#include "tests/support/shared_files.h"

namespace orthant::kernels {
namespace {

using testing::zero_matrix;

constexpr int64_t kRows = 64, kLatents = 96, kWidth = 32, kPerRow = 6, kAuxiliaryPerRow = 16, kSteps = 12;
constexpr int kDeadAfter = 3;
constexpr float kScale = 2.0f / (kRows * kWidth), kAuxiliaryWeight = 1.0f / 32.0f;
constexpr char kFile[] = "golden/training/lineage_batchtopk.safetensors";

using Keep = std::function<bool(int64_t row, int64_t latent)>;

// The `count` largest of `values`: the smallest of them, or infinity for none.
float nth_largest(std::vector<float> values, int64_t count) {
  if (count == 0) return std::numeric_limits<float>::infinity();
  std::nth_element(values.begin(), values.begin() + (count - 1), values.end(), std::greater<>());
  return values[static_cast<size_t>(count - 1)];
}

class Lineage {
 public:
  explicit Lineage(const SafetensorsReader& golden) : golden_(golden), tensors_(kLatents, kWidth, 0) {
    read("init.W_enc", tensors_.encoder);
    read("init.W_dec", tensors_.decoder);
    read("init.b_dec", decoder_bias_);
  }

  void step(Matrix<const float> input, int64_t step) {
    encode(input);
    Path main = path_of(batch_selection()), auxiliary = path_of(dead_selection(main.codes.view()));
    const Matrix<float> gradient = main.gradient.view(), p = auxiliary.gradient.view();
    Tensor<double, 1> unused = testing::make_vector<double>(kRows);
    decode(main.codes.view(), 0, tensors_.decoder.view(), DecodeStart::kBias, flat(decoder_bias_), gradient,
           stream_);
    Tensor<float, 2> error = zero_matrix(kRows, kWidth);
    for (int64_t i = 0; i < kRows * kWidth; ++i) error.data()[i] = input.data[i] - gradient.data[i];
    reconstruction_error(input, gradient, kScale, gradient, unused.view(), stream_);
    const bool has_dead = auxiliary.codes.view().entries() > 0;
    if (has_dead) {
      decode(auxiliary.codes.view(), 0, tensors_.decoder.view(), DecodeStart::kZero, {}, p, stream_);
      reconstruction_error(error.view(), p, kScale * kAuxiliaryWeight, p, unused.view(), stream_);
      for (int64_t i = 0; i < kRows * kWidth; ++i) gradient.data[i] += p.data[i];
    }
    const CodePath paths[] = {differentiated(main), differentiated(auxiliary)};
    LatentStepArgs args;
    args.input = centred_.view();
    args.paths = paths;
    args.path_count = has_dead ? 2 : 1;
    args.decoder_norm = DecoderNorm::kUnitBeforeStep;
    args.adam = {.lr = 1e-3f, .beta1 = 0.9f, .beta2 = 0.99f, .weight_decay = 0.01f, .step = step + 1};
    if (step == 0) expect_first_gradients(args, gradient);
    update(args, gradient);
  }

  // Within `part` of the distance that each tensor has moved since the start.
  void expect_after(const std::string& steps, double part) {
    expect_moved(steps + "W_enc", "init.W_enc", tensors_.encoder, part);
    expect_moved(steps + "W_dec", "init.W_dec", tensors_.decoder, part);
    expect_moved(steps + "b_dec", "init.b_dec", decoder_bias_, part);
  }

 private:
  struct Path {
    Codes codes;
    Tensor<float, 2> gradient;
    LatentOrder order;
    Tensor<float, 1> products;
  };

  static Vector<float> flat(Tensor<float, 2>& row) { return {row.data(), {row.shape()[1]}, kCpu}; }

  void read(const std::string& name, Tensor<float, 2>& into) {
    golden_.read(golden_.entry(name), into.view().span());
  }

  void encode(Matrix<const float> input) {
    for (int64_t i = 0; i < kRows * kWidth; ++i) {
      centred_.data()[i] = input.data[i] - decoder_bias_.data()[i % kWidth];
    }
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t i = 0; i < kLatents; ++i) {
        const float* row = centred_.view().row(r);
        float& a = activations_.view().row(r)[i];
        a = std::max(dot_in_f64(row, tensors_.encoder.view().row(i)), 0.0f);
      }
    }
  }

  static float dot_in_f64(const float* a, const float* b) {
    double sum = 0.0;
    for (int64_t c = 0; c < kWidth; ++c) sum += static_cast<double>(a[c]) * static_cast<double>(b[c]);
    return static_cast<float>(sum);
  }

  Codes codes_where(const Keep& keep) {
    Codes codes(testing::test_memory(), kRows, kRows * kLatents);
    const CodesView view = codes.view();
    int64_t entry = 0;
    view.row_offsets.data[0] = 0;
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t i = 0; i < kLatents; ++i) {
        if (!keep(r, i)) continue;
        view.latents.data[entry] = static_cast<int32_t>(i);
        view.values.data[entry] = activations_.view().row(r)[i];
        ++entry;
      }
      view.row_offsets.data[r + 1] = entry;
    }
    return codes;
  }

  Codes batch_selection() {
    const auto all = activations_.view().span();
    const float smallest = nth_largest({all.begin(), all.end()}, kRows * kPerRow);
    return codes_where([&](int64_t r, int64_t i) { return activations_.view().row(r)[i] >= smallest; });
  }

  // The largest of the latents that have been silent for kDeadAfter batches, this one included.
  Codes dead_selection(CodesView main) {
    for (int& count : silent_batches_) ++count;
    for (int64_t e = 0; e < main.entries(); ++e) {
      if (main.values.data[e] > 0.0f) silent_batches_[static_cast<size_t>(main.latents.data[e])] = 0;
    }
    const auto is_dead = [&](int64_t i) { return silent_batches_[static_cast<size_t>(i)] >= kDeadAfter; };
    std::vector<float> smallest;
    for (int64_t r = 0; r < kRows; ++r) {
      std::vector<float> candidates;
      for (int64_t i = 0; i < kLatents; ++i) {
        if (is_dead(i)) candidates.push_back(activations_.view().row(r)[i]);
      }
      smallest.push_back(nth_largest(candidates, std::min(kAuxiliaryPerRow, std::ssize(candidates))));
    }
    return codes_where([&](int64_t r, int64_t i) {
      const float a = activations_.view().row(r)[i];
      return is_dead(i) && a > 0.0f && a >= smallest[static_cast<size_t>(r)];
    });
  }

  static Path path_of(Codes codes) {
    const int64_t capacity = codes.view().capacity();
    return {std::move(codes), zero_matrix(kRows, kWidth),
            LatentOrder(testing::test_memory(), kLatents, capacity), testing::make_vector<float>(capacity)};
  }

  CodePath differentiated(Path& path) {
    const CodesView codes = path.codes.view();
    sort_by_latent(codes, 0, path.order.view(), stream_);
    value_gradients(codes, 0, tensors_.decoder.view(), path.gradient.view(), path.products.view(), stream_);
    return {codes, path.order.view(), path.products.view(), path.gradient.view()};
  }

  Tensor<float, 2> decoder_bias_gradient(const LatentStepArgs& args, Matrix<const float> gradient) {
    Tensor<double, 1> sums = testing::make_vector<double>(kWidth);
    Tensor<float, 1> through_encoder = testing::make_vector<float>(kLatents);
    column_sums(gradient, sums.view(), stream_);
    latent_bias_gradients(args, through_encoder.view(), stream_);
    for (int64_t i = 0; i < kLatents * kWidth; ++i) {
      const double weight = tensors_.encoder.data()[i];
      sums.data()[i % kWidth] -= static_cast<double>(through_encoder.data()[i / kWidth]) * weight;
    }
    Tensor<float, 2> result = zero_matrix(1, kWidth);
    for (int64_t c = 0; c < kWidth; ++c) result.data()[c] = static_cast<float>(sums.data()[c]);
    return result;
  }

  void update(const LatentStepArgs& args, Matrix<const float> gradient) {
    Tensor<float, 2> bias_gradient = decoder_bias_gradient(args, gradient);
    LatentSlice slice = tensors_.slice();
    slice.bias = slice.bias_m = slice.bias_v = {};
    latent_step(args, slice, stream_);
    adam_vector(args.adam, 1.0f, flat(bias_gradient), flat(decoder_bias_), flat(bias_m_), flat(bias_v_),
                stream_);
  }

  void expect_first_gradients(const LatentStepArgs& args, Matrix<const float> gradient) {
    Tensor<float, 2> encoder = zero_matrix(kLatents, kWidth), decoder = zero_matrix(kLatents, kWidth);
    accumulate_latent_gradients(args, false, {encoder.view(), decoder.view(), {}}, stream_);
    const Tensor<float, 2> bias = decoder_bias_gradient(args, gradient);
    expect_equal("grad0.W_enc", encoder);
    expect_equal("grad0.W_dec", decoder);
    expect_equal("grad0.b_dec", bias);
  }

  void expect_equal(const std::string& name, const Tensor<float, 2>& actual) {
    Tensor<float, 2> expected = testing::copy_of(actual), zero = zero_matrix(actual.shape()[0], kWidth);
    read(name, expected);
    EXPECT_LE(distance(actual, expected), 1e-6 * distance(expected, zero)) << name;
  }

  void expect_moved(const std::string& after, const std::string& before, const Tensor<float, 2>& actual,
                    double part) {
    Tensor<float, 2> expected = testing::copy_of(actual), start = testing::copy_of(actual);
    read(after, expected);
    read(before, start);
    EXPECT_LE(distance(actual, expected), part * distance(expected, start)) << after;
  }

  static double distance(const Tensor<float, 2>& a, const Tensor<float, 2>& b) {
    double squares = 0.0;
    for (int64_t i = 0; i < a.view().elements(); ++i)
      squares += std::pow(static_cast<double>(a.data()[i]) - b.data()[i], 2);
    return std::sqrt(squares);
  }

  const SafetensorsReader& golden_;
  Stream stream_;
  testing::SliceTensors tensors_;
  Tensor<float, 2> decoder_bias_ = zero_matrix(1, kWidth), bias_m_ = zero_matrix(1, kWidth),
                   bias_v_ = zero_matrix(1, kWidth);
  Tensor<float, 2> centred_ = zero_matrix(kRows, kWidth), activations_ = zero_matrix(kRows, kLatents);
  std::vector<int> silent_batches_ = std::vector<int>(kLatents, 0);
};

TEST(LatentGolden, KernelsRepeatTheLineageTraining) {
  ORTHANT_NEEDS_SHARED(kFile);
  const SafetensorsReader golden((testing::shared_folder() / kFile).string());
  Tensor<float, 2> inputs = zero_matrix(kSteps * kRows, kWidth);
  golden.read(golden.entry("x"), inputs.view().span());
  Lineage training(golden);
  for (int64_t step = 0; step < kSteps; ++step) {
    training.step(inputs.view().rows(step * kRows, kRows), step);
    if (step == 0) training.expect_after("after1.", 1e-4);
    if (step == 1) training.expect_after("after2.", 1e-4);
  }
  training.expect_after("after12.", 1e-3);
}

}  // namespace
}  // namespace orthant::kernels
