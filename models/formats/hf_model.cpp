#include "models/formats/hf_model.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <mutex>
#include <set>

#include "models/formats/hf_config.h"
#include "models/formats/json_file.h"
#include "models/formats/model_tensors.h"
#include "runtime/core/error.h"
#include "runtime/core/hash.h"
#include "runtime/storage/file.h"
#include "runtime/storage/safetensors.h"

namespace orthant::models {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr std::string_view kSingleName = "model.safetensors";

std::vector<std::string> indexed_files(const fs::path& index_path) {
  const std::string path = index_path.string();
  const boost::json::value parsed = read_json_file(path);
  const JsonFields fields(parsed, path, "the whole");
  std::set<std::string> names;
  for (const auto& [tensor, file] : fields.required_object("weight_map")) {
    if (!file.is_string()) fields.refuse("weight_map", "a file name is expected for every tensor");
    const std::string name(file.get_string());
    if (fs::path(name).filename() != name) fields.refuse("weight_map", name + " is not a plain file name");
    names.insert(name);
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> weight_files(const fs::path& directory) {
  if (fs::exists(directory / kIndexName)) return indexed_files(directory / kIndexName);
  if (fs::exists(directory / kSingleName)) return {std::string(kSingleName)};
  std::vector<std::string> names = names_in(directory.string());
  std::erase_if(names, [](const std::string& name) { return !name.ends_with(".safetensors"); });
  if (!names.empty()) return names;
  throw Error(ExitCode::kIo, {.problem = fmt::format("{} holds no *.safetensors", directory.string()),
                              .why = "the weights of a Hugging Face model are expected there",
                              .suggestion = "convert .bin or .pt weights to safetensors"});
}

std::string config_path(const fs::path& directory) {
  if (fs::exists(directory / "config.json")) return (directory / "config.json").string();
  throw Error(ExitCode::kIo,
              {.problem = fmt::format("{} holds no config.json", directory.string()),
               .why = "a directory is read as a Hugging Face model",
               .suggestion = "give the directory with config.json and *.safetensors, or a .gguf file"});
}

class HfModel final : public ModelFile {
 public:
  explicit HfModel(const fs::path& directory)
      : path_(directory.string()),
        config_path_(config_path(directory)),
        config_(read_hf_config(config_path_)) {
    for (const std::string& name : weight_files(directory))
      readers_.emplace_back((directory / name).string());
    for (size_t file = 0; file < readers_.size(); ++file) {
      for (const SafetensorsEntry& entry : readers_[file].entries()) place(entry.name, file);
    }
    // A tied head may be stored all the same.
    if (config_.tied_embeddings) files_.erase("lm_head.weight");
    if (has("model.layers.0.self_attn.o_proj.bias")) {
      throw_unsupported_feature(path_, "a bias of the output projection");
    }
    check_tensors(*this, path_);
    for (const auto& [name, shape] : model_tensors(config_)) check_type(entry(name));
  }

  [[nodiscard]] const ModelConfig& config() const override { return config_; }
  [[nodiscard]] bool has(std::string_view name) const override { return files_.contains(name); }
  [[nodiscard]] std::vector<int64_t> shape(std::string_view name) const override { return entry(name).shape; }

  void read(std::string_view name, std::span<float> into) const override {
    const SafetensorsEntry& found = entry(name);
    check_destination(path_, name, found.shape, into);
    readers_[files_.find(name)->second].read(found, into);
  }

  [[nodiscard]] std::optional<StoredTensor> stored(std::string_view name) const override {
    const SafetensorsEntry& found = entry(name);
    return StoredTensor{.type = found.type == "BF16"  ? kernels::BlockType::kBF16
                                : found.type == "F16" ? kernels::BlockType::kF16
                                                      : kernels::BlockType::kF32,
                        .blocks = readers_[files_.find(name)->second].data(found)};
  }

  [[nodiscard]] std::string description() const override {
    return "safetensors " + entry("model.layers.0.mlp.up_proj.weight").type;
  }

  [[nodiscard]] std::string identity() const override {
    std::call_once(hashed_, [this] {
      HashStream hash;
      const auto add = [&hash](const std::string& path) {
        const MappedFile file(path);
        hash.update(file.bytes().data(), file.size());
      };
      add(config_path_);
      for (const SafetensorsReader& reader : readers_) add(reader.path());
      hash_ = to_hex(hash.digest());
    });
    return hash_;
  }

 private:
  void place(const std::string& name, size_t file) {
    const auto [at, added] = files_.emplace(name, file);
    if (added) return;
    throw Error(ExitCode::kData,
                {.problem = fmt::format("tensor {} is in two files of {}", name, path_),
                 .why = fmt::format("in {} and {}", readers_[at->second].path(), readers_[file].path()),
                 .suggestion = fmt::format("keep one of them, or add {}", kIndexName)});
  }

  [[nodiscard]] const SafetensorsEntry& entry(std::string_view name) const {
    const auto found = files_.find(name);
    if (found == files_.end()) throw_absent_tensor(path_, name);
    return readers_[found->second].entry(name);
  }

  void check_type(const SafetensorsEntry& entry) const {
    if (entry.type == "F32" || entry.type == "F16" || entry.type == "BF16") return;
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("tensor {} of {} is stored as {}", entry.name, path_, entry.type),
                 .why = "F32, F16 and BF16 can be read",
                 .suggestion = "use the model in one of these types"});
  }

  std::string path_;
  std::string config_path_;
  ModelConfig config_;
  std::vector<SafetensorsReader> readers_;
  std::map<std::string, size_t, std::less<>> files_;  // which reader holds a tensor
  mutable std::once_flag hashed_;
  mutable std::string hash_;
};

}  // namespace

std::unique_ptr<ModelFile> open_hf_model(const std::string& directory) {
  return std::make_unique<HfModel>(fs::path(directory));
}

}  // namespace orthant::models
