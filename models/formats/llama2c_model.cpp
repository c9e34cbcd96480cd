#include "models/formats/llama2c_model.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>

#include "models/formats/byte_cursor.h"
#include "models/formats/model_tensors.h"
#include "models/formats/rope_layout.h"
#include "runtime/core/dtype.h"
#include "runtime/core/error.h"
#include "runtime/core/hash.h"
#include "runtime/storage/file.h"

namespace orthant::models {
namespace {

constexpr int32_t kVersionedMagic = 0x616b3432;
constexpr int64_t kHeaderBytes = 7 * 4;

[[noreturn]] void throw_wrong_size(const MappedFile& file, double expected_bytes) {
  const auto found = static_cast<double>(file.bytes().size());
  throw Error(ExitCode::kData,
              {.problem = fmt::format("{} has {:.0f} bytes", file.path(), found),
               .why = fmt::format("a llama2.c checkpoint of its header's sizes has {:.0f}", expected_bytes),
               .suggestion = found < expected_bytes ? "the file is truncated: fetch it again"
                                                    : "check that it is a llama2.c checkpoint"});
}

// A file of another format gives sizes whose products pass 64 bits: refused here, before any exact
// arithmetic.
void check_magnitude(const ModelConfig& config, const MappedFile& file) {
  const double d = static_cast<double>(config.d_model);
  const double block = 2.0 * d * d + 3.0 * d * static_cast<double>(config.d_mlp);
  const double values =
      d * static_cast<double>(config.vocabulary) + block * static_cast<double>(config.layers);
  if (values * 4.0 > static_cast<double>(file.bytes().size())) throw_wrong_size(file, values * 4.0);
}

ModelConfig read_config(const MappedFile& file) {
  ByteCursor cursor(file);
  const auto next = [&cursor] { return cursor.value<int32_t>("the header"); };
  ModelConfig config;
  config.architecture = "llama";
  config.name = std::filesystem::path(file.path()).stem().string();
  config.d_model = next();
  if (config.d_model == kVersionedMagic) {
    throw_unsupported_feature(file.path(), "a later version of the llama2.c format (the legacy one is read)");
  }
  config.d_mlp = next();
  config.layers = next();
  config.heads = next();
  config.kv_heads = next();
  const int64_t vocabulary = next();
  config.vocabulary = std::abs(vocabulary);
  config.tied_embeddings = vocabulary > 0;  // a negative size marks a separate output head
  config.context_length = next();
  config.head_dim = config.heads > 0 ? config.d_model / config.heads : 0;
  check_config(config, file.path());
  check_magnitude(config, file);
  return config;
}

struct Placement {
  std::vector<int64_t> shape;
  int64_t first_value = 0;
};

class Layout {
 public:
  explicit Layout(const ModelConfig& config) : shapes_(model_tensors(config)) {
    place("model.embed_tokens.weight");
    const auto each_layer = [&](std::string_view name) {
      for (int64_t l = 0; l < config.layers; ++l) place(fmt::format("model.layers.{}.{}.weight", l, name));
    };
    for (const std::string_view name :
         {"input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
          "post_attention_layernorm", "mlp.gate_proj", "mlp.down_proj", "mlp.up_proj"}) {
      each_layer(name);
    }
    place("model.norm.weight");
    values_ += config.context_length * config.head_dim;  // tables of cosines and sines
    if (!config.tied_embeddings) place("lm_head.weight");
  }
  [[nodiscard]] const std::map<std::string, Placement, std::less<>>& tensors() const { return tensors_; }
  [[nodiscard]] int64_t bytes() const { return kHeaderBytes + values_ * 4; }

 private:
  void place(const std::string& name) {
    const std::vector<int64_t>& shape = shapes_.at(name);
    tensors_[name] = {shape, values_};
    int64_t values = 1;
    for (const int64_t extent : shape) values *= extent;
    values_ += values;
  }
  std::map<std::string, std::vector<int64_t>, std::less<>> shapes_;
  std::map<std::string, Placement, std::less<>> tensors_;
  int64_t values_ = 0;
};

class Llama2cModel final : public ModelFile {
 public:
  explicit Llama2cModel(const std::string& path)
      : file_(path), config_(read_config(file_)), layout_(config_) {
    if (static_cast<int64_t>(file_.bytes().size()) != layout_.bytes()) {
      throw_wrong_size(file_, static_cast<double>(layout_.bytes()));
    }
  }

  [[nodiscard]] const ModelConfig& config() const override { return config_; }
  [[nodiscard]] bool has(std::string_view name) const override { return layout_.tensors().contains(name); }
  [[nodiscard]] std::vector<int64_t> shape(std::string_view name) const override { return find(name).shape; }

  void read(std::string_view name, std::span<float> into) const override {
    const Placement& found = find(name);
    check_destination(file_.path(), name, found.shape, into);
    const std::byte* values = file_.bytes().data() + kHeaderBytes + found.first_value * 4;
    const bool interleaved = name.ends_with("q_proj.weight") || name.ends_with("k_proj.weight");
    if (!interleaved) return widen(Dtype::kF32, values, into);
    const int64_t columns = found.shape.back();
    for (int64_t row = 0; row < found.shape.front(); ++row) {
      widen(Dtype::kF32, values + interleaved_row(row, config_.head_dim) * columns * 4,
            into.subspan(row * columns, columns));
    }
  }

  [[nodiscard]] std::string description() const override { return "llama2.c"; }

  [[nodiscard]] std::string identity() const override {
    std::call_once(hashed_, [this] {
      hash_ = to_hex(hash128(file_.bytes().data(), static_cast<int64_t>(file_.bytes().size())));
    });
    return hash_;
  }

 private:
  [[nodiscard]] const Placement& find(std::string_view name) const {
    const auto found = layout_.tensors().find(name);
    if (found == layout_.tensors().end()) throw_absent_tensor(file_.path(), name);
    return found->second;
  }

  MappedFile file_;
  ModelConfig config_;
  Layout layout_;
  mutable std::once_flag hashed_;
  mutable std::string hash_;
};

}  // namespace

std::unique_ptr<ModelFile> open_llama2c_model(const std::string& path) {
  return std::make_unique<Llama2cModel>(path);
}

}  // namespace orthant::models
