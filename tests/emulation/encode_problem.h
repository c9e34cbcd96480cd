// An encode by the kernels and by the CPU. Operands are small whole numbers, so products are exact whatever
// computes them in whatever precision, and ranks are often equal.
#pragma once

#include <optional>

#include "kernels/encode/encode_cuda.h"
#include "tests/emulation/dense_weights.h"

namespace orthant::testing {

inline Tensor<float, 2> whole_numbers(int64_t rows, int64_t columns, uint64_t seed, int64_t most = 3) {
  Tensor<float, 2> matrix(test_memory(), "test", {rows, columns});
  for (int64_t i = 0; i < rows * columns; ++i) {
    const uint64_t draw = random_u64(seed, Purpose::kTest, 0, static_cast<uint64_t>(i));
    matrix.data()[i] =
        static_cast<float>(static_cast<int64_t>(draw % static_cast<uint64_t>(2 * most + 1)) - most);
  }
  return matrix;
}

inline std::vector<float> whole_values(int64_t count, uint64_t seed, int64_t least, float factor = 1.0f) {
  const Tensor<float, 2> drawn = whole_numbers(1, count, seed);
  std::vector<float> values(drawn.data(), drawn.data() + count);
  for (float& value : values) value = std::max(value, static_cast<float>(least)) * factor;
  return values;
}

// Offsets, latents and values of codes; counts, latents and values beside them.
using EncodeResult = std::tuple<std::vector<int64_t>, std::vector<int32_t>, std::vector<float>,
                                std::vector<int32_t>, std::vector<int32_t>, std::vector<float>>;

struct EncodeProblem {
  EncodeProblem(int64_t rows, int64_t latents, int64_t depth, uint64_t seed)
      : input(whole_numbers(rows, depth, seed)), weights(whole_numbers(latents, depth, seed + 1)) {}

  Tensor<float, 2> input, weights;
  std::vector<float> bias = {}, scale = {}, thresholds = {};
  std::vector<int32_t> latent_numbers = {};
  int64_t first_latent = 0;
  int64_t k_beside = 0;  // 0: nothing beside
  std::vector<uint64_t> eligible = {};
  int64_t workspace_k = 64;
  kernels::Precision precision = kernels::Precision::kF32;
  kernels::cuda::EncodeTiles tiles = {.rows = 3, .latents = 1028};

  [[nodiscard]] int64_t rows() const { return input.shape()[0]; }
  [[nodiscard]] int64_t latents() const { return weights.shape()[0]; }
  [[nodiscard]] int64_t depth() const { return weights.shape()[1]; }

  // Every array where `Array` puts it; what nobody writes is all bits set.
  template <typename T>
  struct OnCpu {
    explicit OnCpu(int64_t count) : kept(static_cast<size_t>(count)) {
      std::memset(static_cast<void*>(kept.data()), 0xff, kept.size() * sizeof(T));
    }
    explicit OnCpu(std::span<const T> from) : kept(from.begin(), from.end()) {}
    [[nodiscard]] Vector<T> vector() { return {kept.data(), {static_cast<int64_t>(kept.size())}, kCpu}; }
    [[nodiscard]] Matrix<T> matrix(int64_t columns) {
      return {kept.data(), {columns == 0 ? 0 : vector().shape[0] / columns, columns}, kCpu};
    }
    [[nodiscard]] std::vector<T> values() const { return kept; }
    std::vector<T> kept;
  };

  // encode(args, thresholds, codes) with arrays of one place.
  template <template <typename> typename Array, typename Encode>
  [[nodiscard]] EncodeResult results(int64_t capacity, Encode encode) const {
    const auto copy = []<typename T>(const std::vector<T>& from) {
      return Array<T>(std::span<const T>(from));
    };
    auto x = Array<float>(std::span<const float>(input.view().span()));
    auto own_bias = copy(bias), own_scale = copy(scale), own_thresholds = copy(thresholds);
    auto numbers = copy(latent_numbers);
    auto bits = copy(eligible);
    Array<int64_t> offsets(rows() + 1);
    Array<int32_t> latents_out(capacity), beside_counts(k_beside == 0 ? 0 : rows()),
        beside_latents(rows() * k_beside);
    Array<float> values_out(capacity), beside_values(rows() * k_beside);
    const auto matrix_of = [&](auto& array) {
      auto matrix = array.matrix(k_beside);
      matrix.shape[0] = rows();
      return matrix;
    };
    const kernels::TopsBeside beside{bits.vector(), beside_counts.vector(), matrix_of(beside_latents),
                                     matrix_of(beside_values)};
    Matrix<const float> rows_in = x.matrix(depth());
    rows_in.shape[0] = rows();
    const kernels::EncodeArgs args{.input = rows_in,
                                   .bias = own_bias.vector(),
                                   .selection_scale = own_scale.vector(),
                                   .latent_numbers = numbers.vector(),
                                   .first_latent = first_latent,
                                   .beside = k_beside == 0 ? nullptr : &beside};
    encode(args, own_thresholds.vector(),
           kernels::CodesView{offsets.vector(), latents_out.vector(), values_out.vector()});
    return {offsets.values(),       latents_out.values(),    values_out.values(),
            beside_counts.values(), beside_latents.values(), beside_values.values()};
  }

  // neither.
  [[nodiscard]] EncodeResult topk_on_cpu(int64_t k) const {
    return results<OnCpu>(rows() * std::min(k, latents()),
                          [&](kernels::EncodeArgs args, auto, kernels::CodesView out) {
                            with_cpu(
                                args,
                                [&](kernels::EncodeWorkspace& workspace, Stream& stream) {
                                  kernels::encode_topk(args, k, workspace, out, stream);
                                },
                                k);
                          });
  }
  [[nodiscard]] EncodeResult topk_by_kernels(int64_t k, Stream& stream) const {
    return results<PlainArray>(rows() * std::min(k, latents()),
                               [&](const kernels::EncodeArgs& args, auto, kernels::CodesView out) {
                                 with_kernels(k, stream, [&](const auto& encoder, const auto& scratch) {
                                   kernels::cuda::encode_topk(args, encoder, k, scratch, out, stream);
                                 });
                               });
  }
  [[nodiscard]] EncodeResult above_on_cpu(float threshold, int64_t capacity, int64_t& entries) const {
    return results<OnCpu>(
        capacity, [&](kernels::EncodeArgs args, Vector<const float> each, kernels::CodesView out) {
          with_cpu(
              args,
              [&](kernels::EncodeWorkspace& workspace, Stream& stream) {
                entries = kernels::encode_above(args, threshold, each, workspace, out, stream);
              },
              workspace_k);
        });
  }
  [[nodiscard]] EncodeResult above_by_kernels(float threshold, int64_t capacity, int64_t& entries,
                                              Stream& stream) const {
    return results<PlainArray>(
        capacity, [&](const kernels::EncodeArgs& args, Vector<const float> each, kernels::CodesView out) {
          with_kernels(workspace_k, stream, [&](const auto& encoder, const auto& scratch) {
            entries = kernels::cuda::encode_above(args, encoder, threshold, each, scratch, out, stream);
          });
        });
  }

 private:
  template <typename T>
  struct PlainArray : DeviceArray<T> {
    explicit PlainArray(int64_t count) : DeviceArray<T>(count) {}
    explicit PlainArray(std::span<const T> values) : DeviceArray<T>(values) {}
  };

  template <typename Encode>
  void with_cpu(kernels::EncodeArgs& args, Encode encode, int64_t k) const {
    Stream stream;
    kernels::PackedWeights packed(test_memory(), "test", latents(), depth());
    packed.pack(weights.view(), stream);
    args.encoder = &packed;
    kernels::EncodeWorkspace workspace(test_memory(), 2, k, depth(), k_beside);
    encode(workspace, stream);
  }
  template <typename Encode>
  void with_kernels(int64_t k, Stream& stream, Encode encode) const {
    using kernels::cuda::EncodeScratch;
    const DeviceWeights encoder(weights, precision, stream);
    const DeviceArray<std::byte> buffer(EncodeScratch::bytes(tiles, k, depth(), k_beside));
    encode(encoder.view(), EncodeScratch(buffer.data(), tiles, k, depth(), k_beside));
    stream.synchronize();
    (void)buffer.values();
  }
};

}  // namespace orthant::testing
