#include "models/transformer/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "models/transformer/tensor_upload.h"

namespace orthant::models {
namespace {

// Reads tensors one by one through a single scratch buffer; of a Memory that counts only the shapes.
class WeightReader {
 public:
  WeightReader(const ModelFile& file, kernels::Precision precision, Memory& memory, Stream& stream)
      : file_(file), precision_(precision), memory_(memory), stream_(stream), upload_(file, memory, stream) {}

  Tensor<float, 1> vector(const std::string& name, int64_t length) {
    Tensor<float, 1> tensor(memory_, "weights", {length});
    upload_.read(name, {tensor.data(), {length, 1}, memory_.device()});
    return tensor;
  }
  Tensor<float, 2> matrix(const std::string& name, int64_t rows, int64_t columns) {
    Tensor<float, 2> tensor(memory_, "weights", {rows, columns});
    upload_.read(name, tensor.view());
    return tensor;
  }
  Tensor<float, 1> bias(const std::string& layer, int64_t length) {
    return file_.config().qkv_bias ? vector(layer + ".bias", length) : Tensor<float, 1>();
  }
  kernels::PackedWeights packed(const std::string& layer, int64_t columns, int64_t depth) {
    if (scratch_.shape()[0] < columns * depth) scratch_ = {memory_, "loading", {columns * depth}};
    const Matrix<float> rows{scratch_.data(), {columns, depth}, memory_.device()};
    upload_.read(layer + ".weight", rows);
    return packed(rows);
  }
  kernels::PackedWeights packed(Matrix<const float> rows) {
    kernels::PackedWeights weights(memory_, "weights", rows.shape[0], rows.shape[1], precision_);
    if (!memory_.counts_only()) weights.pack(rows, stream_);
    return weights;
  }

 private:
  const ModelFile& file_;
  kernels::Precision precision_;
  Memory& memory_;
  Stream& stream_;
  Tensor<float, 1> scratch_;
  TensorUpload upload_;
};

BlockWeights read_block(WeightReader& reader, const ModelConfig& config, int64_t layer) {
  const std::string block = fmt::format("model.layers.{}.", layer);
  const std::string attention = block + "self_attn.";
  const int64_t width = config.heads * config.head_dim;
  const int64_t kv_width = config.kv_heads * config.head_dim;
  BlockWeights weights;
  weights.attention_norm = reader.vector(block + "input_layernorm.weight", config.d_model);
  weights.query = reader.packed(attention + "q_proj", width, config.d_model);
  weights.key = reader.packed(attention + "k_proj", kv_width, config.d_model);
  weights.value = reader.packed(attention + "v_proj", kv_width, config.d_model);
  weights.query_bias = reader.bias(attention + "q_proj", width);
  weights.key_bias = reader.bias(attention + "k_proj", kv_width);
  weights.value_bias = reader.bias(attention + "v_proj", kv_width);
  weights.output = reader.packed(attention + "o_proj", config.d_model, width);
  weights.mlp_norm = reader.vector(block + "post_attention_layernorm.weight", config.d_model);
  weights.gate = reader.packed(block + "mlp.gate_proj", config.d_mlp, config.d_model);
  weights.up = reader.packed(block + "mlp.up_proj", config.d_mlp, config.d_model);
  weights.down = reader.packed(block + "mlp.down_proj", config.d_model, config.d_mlp);
  return weights;
}

}  // namespace

Weights load_weights(const ModelFile& file, LoadRange range, Memory& memory, Stream& stream,
                     kernels::Precision precision) {
  const ModelConfig& config = file.config();
  WeightReader reader(file, precision, memory, stream);
  Weights weights;
  weights.config = config;
  weights.precision = precision;
  weights.embedding = reader.matrix("model.embed_tokens.weight", config.vocabulary, config.d_model);
  for (int64_t layer = 0; layer < std::min(range.blocks, config.layers); ++layer) {
    weights.blocks.push_back(read_block(reader, config, layer));
  }
  if (range.head) {
    weights.final_norm = reader.vector("model.norm.weight", config.d_model);
    weights.head = config.tied_embeddings ? reader.packed(weights.embedding.view())
                                          : reader.packed("lm_head", config.vocabulary, config.d_model);
  }
  stream.synchronize();
  return weights;
}

}  // namespace orthant::models
