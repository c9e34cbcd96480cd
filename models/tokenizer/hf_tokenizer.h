// A Hugging Face tokenizer.json, with tokenizer_config.json, chat_template.jinja and config.json beside it
// where they exist.
#pragma once

#include <memory>
#include <string>

#include "models/tokenizer/tokenizer.h"

namespace orthant::models {

// Throws Error(kIo), Error(kData) or, for kinds that are not supported, Error(kConfig).
[[nodiscard]] std::unique_ptr<Tokenizer> open_hf_tokenizer(const std::string& path);

}  // namespace orthant::models
