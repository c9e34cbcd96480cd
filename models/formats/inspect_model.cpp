#include "models/formats/inspect_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "models/formats/model_file.h"
#include "models/formats/model_tensors.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

namespace json = boost::json;

constexpr const char* kRepair = "Fetch or copy the model again.";

int64_t elements_of(const std::vector<int64_t>& shape) {
  int64_t elements = 1;
  for (const int64_t extent : shape) elements *= extent;
  return elements;
}

}  // namespace

bool is_model(const std::string& path) {
  namespace fs = std::filesystem;
  if (fs::is_directory(path)) return fs::exists(path + "/config.json");
  return fs::exists(path) && (path.ends_with(".gguf") || path.ends_with(".bin"));
}

json::object inspect_model(const std::string& path) {
  const std::unique_ptr<ModelFile> file = open_model_file(path);
  const ModelConfig& c = file->config();
  json::array tensors;
  int64_t parameters = 0;
  for (const auto& [name, shape] : model_tensors(c)) {
    parameters += elements_of(shape);
    tensors.push_back({{"name", name}, {"shape", json::array(shape.begin(), shape.end())}});
  }
  return {{"kind", "model"},
          {"path", path},
          {"format", file->description()},
          {"architecture", c.architecture},
          {"name", c.name},
          {"parameters", parameters},
          {"d_model", c.d_model},
          {"layers", c.layers},
          {"heads", c.heads},
          {"kv_heads", c.kv_heads},
          {"head_dim", c.head_dim},
          {"d_mlp", c.d_mlp},
          {"vocabulary", c.vocabulary},
          {"context_length", c.context_length},
          {"rope_theta", c.rope_theta},
          {"tied_embeddings", c.tied_embeddings},
          {"identity", file->identity()},
          {"tensors", std::move(tensors)}};
}

std::vector<Damage> verify_model(const std::string& path) {
  std::vector<Damage> damage;
  try {
    const std::unique_ptr<ModelFile> file = open_model_file(path);
    std::vector<float> values;
    for (const auto& [name, shape] : model_tensors(file->config())) {
      values.resize(static_cast<size_t>(elements_of(shape)));
      file->read(name, values);
      const auto odd = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
      if (odd == values.end()) continue;
      damage.push_back({.file = path,
                        .reason = fmt::format("element {} of tensor {} is not a finite number",
                                              odd - values.begin(), name),
                        .repair = kRepair});
    }
  } catch (const Error& error) {
    damage.push_back({.file = path, .reason = error.what(), .repair = kRepair});
  }
  return damage;
}

}  // namespace orthant::models
