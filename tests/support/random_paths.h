// A batch of sparse gradients for tests: input, codes, their order, value gradients and output gradients of
// one or two paths over one slice of the latents.
#pragma once

#include "kernels/codes/latent_step.h"
#include "kernels/scalar.h"
#include "tests/support/random_codes.h"

namespace orthant::testing {

struct PathShape {
  int64_t rows, latents, d_model, most;
};

class RandomPaths {
 public:
  RandomPaths(PathShape shape, int paths, uint64_t seed, int64_t first_latent = 0, int64_t local_latents = -1)
      : local_latents_(local_latents < 0 ? shape.latents : local_latents),
        input_(random_matrix(shape.rows, shape.d_model, seed)),
        penalty_(random_matrix(shape.latents, shape.d_model, seed + 1)),
        first_latent_(first_latent) {
    for (int i = 0; i < paths; ++i) add_path(shape, seed + 10 * static_cast<uint64_t>(i + 1));
    for (Part& part : parts_) {
      views_.push_back(
          {part.codes.view(), part.order.view(), part.value_gradients.view(), part.gradient.view()});
    }
  }
  [[nodiscard]] kernels::LatentStepArgs args() const {
    kernels::LatentStepArgs args;
    args.input = input_.view();
    args.paths = views_.data();
    args.path_count = static_cast<int>(views_.size());
    return args;
  }
  // [local_latents, d_model]
  [[nodiscard]] Matrix<const float> penalty() const {
    return penalty_.view().rows(first_latent_, local_latents_);
  }

 private:
  struct Part {
    kernels::Codes codes;
    kernels::LatentOrder order;
    Tensor<float, 1> value_gradients;
    Tensor<float, 2> gradient;
  };
  void add_path(PathShape shape, uint64_t seed) {
    const int64_t capacity = shape.rows * shape.most;
    Part part{random_codes(shape.rows, shape.latents, shape.most, seed),
              kernels::LatentOrder(test_memory(), local_latents_, capacity), make_vector<float>(capacity),
              random_matrix(shape.rows, shape.d_model, seed + 1)};
    for (int64_t e = 0; e < capacity; ++e) {
      part.value_gradients.data()[e] = random_normal(seed, Purpose::kTest, 5, static_cast<uint64_t>(e));
    }
    Stream stream;
    kernels::sort_by_latent(part.codes.view(), first_latent_, part.order.view(), stream);
    parts_.push_back(std::move(part));
  }

  int64_t local_latents_;
  Tensor<float, 2> input_, penalty_;
  int64_t first_latent_;
  std::vector<Part> parts_;
  std::vector<kernels::CodePath> views_;
};

// Parameters and moments of a slice.
struct SliceTensors {
  SliceTensors(int64_t latents, int64_t d_model, uint64_t seed)
      : encoder(random_matrix(latents, d_model, seed)),
        decoder(random_matrix(latents, d_model, seed + 1)),
        bias(random_matrix(1, latents, seed + 2)),
        encoder_m(zero_matrix(latents, d_model)),
        encoder_v(zero_matrix(latents, d_model)),
        decoder_m(zero_matrix(latents, d_model)),
        decoder_v(zero_matrix(latents, d_model)),
        bias_m(zero_matrix(1, latents)),
        bias_v(zero_matrix(1, latents)) {}
  // Rows [first, first + count).
  [[nodiscard]] kernels::LatentSlice slice(int64_t first, int64_t count) {
    const auto rows = [&](Tensor<float, 2>& t) { return t.view().rows(first, count); };
    const auto part = [&](Tensor<float, 2>& t) { return Vector<float>{t.data() + first, {count}, kCpu}; };
    return {rows(encoder),   rows(decoder),   part(bias),   rows(encoder_m), rows(encoder_v),
            rows(decoder_m), rows(decoder_v), part(bias_m), part(bias_v)};
  }
  [[nodiscard]] kernels::LatentSlice slice() { return slice(0, encoder.shape()[0]); }
  [[nodiscard]] std::vector<Tensor<float, 2>*> all() {
    return {&encoder, &decoder, &bias, &encoder_m, &encoder_v, &decoder_m, &decoder_v, &bias_m, &bias_v};
  }
  [[nodiscard]] bool same_bits_as(SliceTensors& other) {
    const auto mine = all(), theirs = other.all();
    for (size_t i = 0; i < mine.size(); ++i) {
      if (!same_bits(mine[i]->view(), theirs[i]->view())) return false;
    }
    return true;
  }

  Tensor<float, 2> encoder, decoder, bias, encoder_m, encoder_v, decoder_m, decoder_v, bias_m, bias_v;
};

// Second moments in bf16, drawn and squared, for the slice of SliceTensors.
struct Bf16Moments {
  Bf16Moments(int64_t latents, int64_t d_model, uint64_t seed)
      : encoder(test_memory(), "test", {latents, d_model}),
        decoder(test_memory(), "test", {latents, d_model}) {
    fill(encoder, seed);
    fill(decoder, seed + 1);
  }
  // `slice` with its second moments here.
  [[nodiscard]] kernels::LatentSlice put_into(kernels::LatentSlice slice, int64_t first, int64_t count) {
    slice.encoder_v = encoder.view().rows(first, count);
    slice.decoder_v = decoder.view().rows(first, count);
    slice.first_latent = first;
    return slice;
  }
  [[nodiscard]] kernels::LatentSlice put_into(kernels::LatentSlice slice) {
    return put_into(slice, 0, encoder.shape()[0]);
  }
  [[nodiscard]] auto values() const { return std::pair(in_vector(encoder), in_vector(decoder)); }
  // The same numbers in f32.
  void widen_into(SliceTensors& slice) const {
    const auto widen = [](const Tensor<uint16_t, 2>& from, Tensor<float, 2>& to) {
      for (int64_t i = 0; i < from.view().elements(); ++i) to.data()[i] = kernels::widened(from.data()[i]);
    };
    widen(encoder, slice.encoder_v);
    widen(decoder, slice.decoder_v);
  }
  static std::vector<uint16_t> in_vector(const Tensor<uint16_t, 2>& tensor) {
    return {tensor.data(), tensor.data() + tensor.view().elements()};
  }

  Tensor<uint16_t, 2> encoder, decoder;

 private:
  static void fill(Tensor<uint16_t, 2>& moment, uint64_t seed) {
    for (int64_t i = 0; i < moment.view().elements(); ++i) {
      const float x = random_normal(seed, Purpose::kTest, 6, static_cast<uint64_t>(i));
      moment.data()[i] = static_cast<uint16_t>(kernels::bits_of(x * x) >> 16);
    }
  }
};

// What bf16 moments are after a step whose second moments in f32 are `exact`.
inline std::vector<uint16_t> rounded_at_random(const kernels::AdamConstants& adam, Purpose row,
                                               const std::vector<float>& exact, int64_t d_model) {
  std::vector<uint16_t> rounded;
  for (int64_t i = 0; i < static_cast<int64_t>(exact.size()); ++i) {
    const kernels::RoundingKey key = kernels::rounding_key(adam.seed, row, adam.step, i / d_model);
    rounded.push_back(
        kernels::bf16_at_random(exact[static_cast<size_t>(i)], kernels::rounding_draw(key, i % d_model)));
  }
  return rounded;
}

inline double largest(const std::vector<double>& values) {
  double most = 0.0;
  for (const double x : values) most = std::max(most, std::abs(x));
  return most;
}

inline std::vector<double> in_f64(const Tensor<float, 2>& tensor) {
  return {tensor.data(), tensor.data() + tensor.view().elements()};
}

// What one step may ask for: two paths, a penalty, clipping, any norm.
inline kernels::LatentStepArgs full_args(const RandomPaths& paths, kernels::DecoderNorm norm) {
  kernels::LatentStepArgs args = paths.args();
  args.decoder_norm = norm;
  args.decoder_penalty_gradient = paths.penalty();
  args.gradient_scale = 0.37f;
  args.adam = {.lr = 1e-2f,
               .beta1 = 0.9f,
               .beta2 = 0.99f,
               .epsilon = 1e-8f,
               .weight_decay = 0.01f,
               .step = 3,
               .seed = 5};
  return args;
}

}  // namespace orthant::testing
