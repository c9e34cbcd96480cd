#include "models/formats/model_file.h"

#include <fmt/format.h>

#include <filesystem>

#include "models/formats/gguf.h"
#include "models/formats/gguf_model.h"
#include "models/formats/hf_model.h"
#include "models/formats/llama2c_model.h"
#include "runtime/core/error.h"
#include "runtime/storage/file.h"

namespace orthant::models {
namespace {

constexpr std::string_view kReadable =
    "give a .gguf file, a directory with config.json and *.safetensors, or a llama2.c .bin";

[[noreturn]] void throw_unknown(const std::string& path, std::string why) {
  throw Error(ExitCode::kData, {.problem = fmt::format("{} is not a model that can be read", path),
                                .why = std::move(why),
                                .suggestion = std::string(kReadable)});
}

}  // namespace

std::unique_ptr<ModelFile> open_model_file(const std::string& path) {
  if (!std::filesystem::exists(path)) {
    throw Error(ExitCode::kIo, {.problem = fmt::format("there is no model at {}", path),
                                .why = "no such file or directory",
                                .suggestion = std::string(kReadable)});
  }
  if (std::filesystem::is_directory(path)) return open_hf_model(path);
  if (is_gguf(MappedFile(path).bytes())) return open_gguf_model(path);
  const std::string extension = std::filesystem::path(path).extension().string();
  if (extension == ".bin") return open_llama2c_model(path);
  throw_unknown(path, extension == ".gguf" ? "it does not begin with \"GGUF\"" : "its format is not known");
}

}  // namespace orthant::models
