#include "models/transformer/decode_weights.h"

#include <algorithm>

#include "models/transformer/run_state.h"
#include "models/transformer/tensor_upload.h"

namespace orthant::models {

int64_t DecodeWeights::bytes() const {
  int64_t sum = 0;
  for (const auto& block : blocks) {
    for (const kernels::InputMajorWeights& weights : block) sum += weights.bytes();
  }
  return sum;
}

DecodeWeights load_decode_weights(const ModelFile& file, kernels::WeightFormat format, Memory& memory,
                                  Stream& stream) {
  const ModelConfig& config = file.config();
  TensorUpload upload(file, memory, stream);
  int64_t widest = 0;
  for (int p = 0; p < kProjections; ++p) {
    const ProjectionShape shape = shape_of(config, static_cast<Projection>(p));
    widest = std::max(widest, shape.outputs * shape.inputs);
  }
  Tensor<float, 1> scratch(memory, "loading", {widest});
  DecodeWeights weights;
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    auto& block = weights.blocks.emplace_back();
    for (int p = 0; p < kProjections; ++p) {
      const auto projection = static_cast<Projection>(p);
      const ProjectionShape shape = shape_of(config, projection);
      auto& packed = block[static_cast<size_t>(p)];
      packed = {memory, "decode weights", shape.outputs, shape.inputs, format};
      const Matrix<float> rows{scratch.data(), {shape.outputs, shape.inputs}, memory.device()};
      upload.read(weight_name(layer, projection), rows);
      if (!memory.counts_only()) packed.pack(rows, stream);
    }
  }
  stream.synchronize();
  return weights;
}

DecodeState::DecodeState(Memory& memory, const ModelConfig& config) {
  const int64_t widest = widest_row(config);
  inputs = {memory, "decode state", {widest}};
  values = {memory, "decode state", {widest}};
}

}  // namespace orthant::models
