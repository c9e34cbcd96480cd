#include "kernels/sparse/input_major_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/dense/round_bf16.h"
#include "kernels/scalar.h"
#include "kernels/sparse/q8_block.h"
#include "kernels/sparse/sparse_cuda.h"

namespace orthant::kernels {
namespace {

constexpr int64_t kTile = 64;  // of outputs and inputs that are turned together

int64_t row_bytes_of(const InputMajorRows& rows) {
  switch (rows.format) {
    case WeightFormat::kF32:
      return rows.padded_outputs() * int64_t{sizeof(float)};
    case WeightFormat::kBF16:
      return rows.padded_outputs() * int64_t{sizeof(uint16_t)};
    case WeightFormat::kQ8:
      break;
  }
  const int64_t bytes = rows.padded_outputs() + rows.padded_outputs() / kQ8Block * int64_t{sizeof(uint16_t)};
  return (bytes + 63) / 64 * 64;
}

void store_q8(std::span<const float> values, int64_t first, int64_t scales_at, std::byte* row) {
  auto* const numbers = reinterpret_cast<int8_t*>(row) + first;
  for (size_t block = 0; block < values.size(); block += kQ8Block) {
    float largest = 0.0f;
    for (size_t i = 0; i < kQ8Block; ++i) largest = std::max(largest, std::abs(values[block + i]));
    const uint16_t scale = q8_scale(largest);
    const int64_t at = (first + static_cast<int64_t>(block)) / kQ8Block;
    std::memcpy(row + scales_at + at * int64_t{sizeof scale}, &scale, sizeof scale);
    for (size_t i = 0; i < kQ8Block; ++i) numbers[block + i] = q8_of(values[block + i], f32_of_half(scale));
  }
}

// `values` are those of outputs first, first + 1, ... of one input.
void store_row_part(const InputMajorRows& rows, std::span<float> values, int64_t first, std::byte* row) {
  switch (rows.format) {
    case WeightFormat::kF32:
      std::memcpy(row + first * int64_t{sizeof(float)}, values.data(), values.size_bytes());
      return;
    case WeightFormat::kBF16: {
      round_bf16(values);
      auto* const halves = reinterpret_cast<uint16_t*>(row) + first;
      for (size_t i = 0; i < values.size(); ++i) halves[i] = static_cast<uint16_t>(bits_of(values[i]) >> 16);
      return;
    }
    case WeightFormat::kQ8:
      return store_q8(values, first, rows.scales_at(), row);
  }
}

float value_at(const InputMajorRows& rows, int64_t input, int64_t output) {
  const std::byte* const row = rows.data + input * rows.row_bytes;
  switch (rows.format) {
    case WeightFormat::kF32:
      return reinterpret_cast<const float*>(row)[output];
    case WeightFormat::kBF16:
      return widened(reinterpret_cast<const uint16_t*>(row)[output]);
    case WeightFormat::kQ8:
      break;
  }
  const auto* const scales = reinterpret_cast<const uint16_t*>(row + rows.scales_at());
  return f32_of_half(scales[output / kQ8Block]) *
         static_cast<float>(reinterpret_cast<const int8_t*>(row)[output]);
}

}  // namespace

std::string_view name_of(WeightFormat format) {
  switch (format) {
    case WeightFormat::kF32:
      return "f32";
    case WeightFormat::kBF16:
      return "bf16";
    case WeightFormat::kQ8:
      return "q8";
  }
  return "?";
}

std::optional<WeightFormat> weight_format_from_name(std::string_view name) {
  for (const WeightFormat format : {WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kQ8}) {
    if (name == name_of(format)) return format;
  }
  return std::nullopt;
}

InputMajorWeights::InputMajorWeights(Memory& memory, std::string_view segment, int64_t outputs,
                                     int64_t inputs, WeightFormat format)
    : rows_{.outputs = outputs, .inputs = inputs, .format = format} {
  rows_.row_bytes = row_bytes_of(rows_);
  stored_ = Tensor<std::byte, 1>(memory, segment, {bytes()});
}

InputMajorRows InputMajorWeights::rows() const {
  InputMajorRows rows = rows_;
  rows.data = stored_.data();
  return rows;
}

void InputMajorWeights::pack(Matrix<const float> weights, Stream& stream) {
  require(weights.shape[0] == outputs() && weights.shape[1] == inputs(),
          "input-major weights are packed in the shape of their construction");
  require(weights.device == device(), "weights are packed on their device");
  if (device().kind == DeviceKind::kCuda) {
    return cuda::pack_input_major(weights, rows_, stored_.data(), stream);
  }
  const int64_t padded = rows_.padded_outputs();
#pragma omp parallel for schedule(static)
  for (int64_t input = 0; input < inputs(); input += kTile) {
    const int64_t count = std::min(kTile, inputs() - input);
    for (int64_t first = 0; first < padded; first += kTile) {
      float turned[kTile][kTile] = {};  // [inputs, outputs]
      for (int64_t o = 0; o < std::min(kTile, outputs() - first); ++o) {
        const float* const row = weights.row(first + o) + input;
        for (int64_t i = 0; i < count; ++i) turned[i][o] = row[i];
      }
      for (int64_t i = 0; i < count; ++i) {
        store_row_part(rows_, {turned[i], static_cast<size_t>(kTile)}, first,
                       stored_.data() + (input + i) * rows_.row_bytes);
      }
    }
  }
}

void InputMajorWeights::unpack(Matrix<float> into) const {
  require(into.shape[0] == outputs() && into.shape[1] == inputs(), "weights are unpacked in their shape");
  require(device().kind == DeviceKind::kCpu, "weights are unpacked on the CPU");
  for (int64_t o = 0; o < outputs(); ++o) {
    for (int64_t i = 0; i < inputs(); ++i) into.row(o)[i] = value_at(rows(), i, o);
  }
}

}  // namespace orthant::kernels
