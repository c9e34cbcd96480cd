// The tokenizer that a GGUF file carries in its metadata.
#pragma once

#include <memory>
#include <string>

#include "models/tokenizer/tokenizer.h"

namespace orthant::models {

// Throws Error(kIo), Error(kData) or, for kinds that are not supported, Error(kConfig).
[[nodiscard]] std::unique_ptr<Tokenizer> open_gguf_tokenizer(const std::string& path);

}  // namespace orthant::models
