// The weights of a model's projections once more, input-major (kernels/sparse), for forwards of one row: what
// decodes one token at a time without reading the weights of inputs that are pruned.
//
// Beside the packed weights, which products of several rows use. Immutable after loading; thread-safe for
// reading. A DecodeState serves one forward at a time.
#pragma once

#include <array>
#include <vector>

#include "kernels/sparse/skipping_gemv.h"
#include "models/formats/model_file.h"
#include "models/transformer/pruning.h"

namespace orthant::models {

struct DecodeWeights {
  // [outputs, inputs] of every projection; as many blocks as the model has.
  std::vector<std::array<kernels::InputMajorWeights, kProjections>> blocks;
  [[nodiscard]] int64_t bytes() const;
};

// In the memory's segment "decode weights"; all is there when it returns. On a Memory that counts only the
// file's header is looked at. Throws what load_weights throws.
[[nodiscard]] DecodeWeights load_decode_weights(const ModelFile& file, kernels::WeightFormat format,
                                                Memory& memory, Stream& stream);

// Where the kept inputs of a row are listed.
struct DecodeState {
  DecodeState(Memory& memory, const ModelConfig& config);
  Tensor<int32_t, 1> inputs;  // [widest input]
  Tensor<float, 1> values;    // [widest input]
};

}  // namespace orthant::models
