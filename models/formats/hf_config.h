// config.json of a Hugging Face model directory: model types llama, mistral and qwen2. Thread-safe.
#pragma once

#include <string>

#include "models/formats/model_file.h"

namespace orthant::models {

// Throws Error(kIo), Error(kData) or, for what is not supported, Error(kConfig).
[[nodiscard]] ModelConfig read_hf_config(const std::string& path);

}  // namespace orthant::models
