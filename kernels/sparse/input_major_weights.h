// Weights [outputs, inputs] kept input-major: all outputs of one input are a contiguous row, so a product
// that skips an input (kernels/sparse/skipping_gemv.h) does not read its row at all.
//
// Formats: f32; bf16, rounded as in kernels/dense/round_bf16.h; q8, 8-bit whole numbers where 32 neighbouring
// outputs of an input share one scale. The scale is f16, for two reasons: 8.5 bits a weight instead of 9 with
// f32, and a scale times a number of 8 bits is exact in f32, so that a weight has one value on every device.
// It needs weights below 127 * 65504. Rows begin at multiples of 64 bytes and are padded with zeros to a
// multiple of 64 outputs. Immutable after pack(); thread-safe for reading.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "kernels/sparse/weight_format.h"
#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

[[nodiscard]] std::string_view name_of(WeightFormat format);  // "f32", "bf16", "q8"
// Nothing for another name.
[[nodiscard]] std::optional<WeightFormat> weight_format_from_name(std::string_view name);

// The rows in memory. Borrowed.
struct InputMajorRows {
  const std::byte* data = nullptr;
  int64_t row_bytes = 0;
  int64_t outputs = 0;
  int64_t inputs = 0;
  WeightFormat format = WeightFormat::kF32;
  [[nodiscard]] int64_t padded_outputs() const {
    return (outputs + kOutputPadding - 1) / kOutputPadding * kOutputPadding;
  }
  // Of q8, from the begin of a row: f16 [padded_outputs / kQ8Block].
  [[nodiscard]] int64_t scales_at() const { return padded_outputs(); }
};

class InputMajorWeights {
 public:
  InputMajorWeights() = default;
  InputMajorWeights(Memory& memory, std::string_view segment, int64_t outputs, int64_t inputs,
                    WeightFormat format);
  [[nodiscard]] int64_t outputs() const { return rows_.outputs; }
  [[nodiscard]] int64_t inputs() const { return rows_.inputs; }
  [[nodiscard]] WeightFormat format() const { return rows_.format; }
  [[nodiscard]] Device device() const { return stored_.view().device; }
  [[nodiscard]] int64_t bytes() const { return rows_.row_bytes * rows_.inputs; }
  // `weights` [outputs, inputs], finite, on the device of the construction.
  void pack(Matrix<const float> weights, Stream& stream);
  // The value of every weight: `into` [outputs, inputs]. On the CPU.
  void unpack(Matrix<float> into) const;
  [[nodiscard]] InputMajorRows rows() const;

 private:
  InputMajorRows rows_;  // without its data
  Tensor<std::byte, 1> stored_;
};

}  // namespace orthant::kernels
