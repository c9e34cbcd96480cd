// A language model in a Hugging Face directory: config.json and one or more safetensors files.
#pragma once

#include <memory>
#include <string>

#include "models/formats/model_file.h"

namespace orthant::models {

// Throws Error(kIo), Error(kData) or, for what is not supported, Error(kConfig).
[[nodiscard]] std::unique_ptr<ModelFile> open_hf_model(const std::string& directory);

}  // namespace orthant::models
