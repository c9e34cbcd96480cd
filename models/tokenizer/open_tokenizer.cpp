#include <fmt/format.h>

#include <filesystem>
#include <vector>

#include "models/formats/gguf.h"
#include "models/tokenizer/gguf_tokenizer.h"
#include "models/tokenizer/hf_tokenizer.h"
#include "models/tokenizer/llama2c_tokenizer.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/core/error.h"
#include "runtime/storage/file.h"

namespace orthant::models {
namespace {

namespace fs = std::filesystem;

// The only tok*.bin beside a llama2.c checkpoint.
std::string vocabulary_beside(const fs::path& model) {
  std::vector<std::string> found;
  const fs::path folder = model.has_parent_path() ? model.parent_path() : fs::path(".");
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("tok") && name.ends_with(".bin")) found.push_back(entry.path().string());
  }
  if (found.size() == 1) return found.front();
  throw Error(ExitCode::kConfig, {.problem = fmt::format("the tokenizer of {} is not known", model.string()),
                                  .why = fmt::format("{} files tok*.bin lie beside it", found.size()),
                                  .suggestion = "name one with --tokenizer=FILE"});
}

std::string tokenizer_of(const std::string& model_path) {
  const fs::path path(model_path);
  if (fs::is_directory(path) || path.extension() != ".bin") return model_path;
  return vocabulary_beside(path);
}

}  // namespace

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& model_path, const std::string& tokenizer_path) {
  const std::string path = tokenizer_path.empty() ? tokenizer_of(model_path) : tokenizer_path;
  if (!fs::exists(path)) {
    throw Error(ExitCode::kIo, {.problem = fmt::format("there is no tokenizer at {}", path),
                                .why = "no such file or directory",
                                .suggestion = "check the path"});
  }
  if (fs::is_directory(path)) return open_hf_tokenizer((fs::path(path) / "tokenizer.json").string());
  if (fs::path(path).extension() == ".json") return open_hf_tokenizer(path);
  if (is_gguf(MappedFile(path).bytes())) return open_gguf_tokenizer(path);
  if (fs::path(path).extension() == ".bin") return open_llama2c_tokenizer(path);
  throw Error(ExitCode::kData,
              {.problem = fmt::format("{} is not a tokenizer that can be read", path),
               .why = "its format is not known",
               .suggestion = "give a .gguf file, a tokenizer.json, its directory, or a llama2.c tok*.bin"});
}

}  // namespace orthant::models
