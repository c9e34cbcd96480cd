// A language model in the legacy checkpoint format of llama2.c: seven int32 sizes, then f32 tensors.
#pragma once

#include <memory>
#include <string>

#include "models/formats/model_file.h"

namespace orthant::models {

// Throws Error(kIo), Error(kData) or, for the other versions of the format, Error(kConfig).
[[nodiscard]] std::unique_ptr<ModelFile> open_llama2c_model(const std::string& path);

}  // namespace orthant::models
