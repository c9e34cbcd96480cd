// A language model in a GGUF file: architectures llama (Llama, Mistral, SmolLM) and qwen2.
#pragma once

#include <memory>
#include <string>

#include "models/formats/model_file.h"

namespace orthant::models {

// Throws Error(kIo), Error(kData) or, for what is not supported, Error(kConfig).
[[nodiscard]] std::unique_ptr<ModelFile> open_gguf_model(const std::string& path);

}  // namespace orthant::models
