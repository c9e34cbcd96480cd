// The vocabulary files of llama2.c (tok*.bin): a score, a length and the bytes of each token.
#pragma once

#include <memory>
#include <string>

#include "models/tokenizer/tokenizer.h"

namespace orthant::models {

// Throws Error(kIo) or Error(kData) naming the file and the offset.
[[nodiscard]] std::unique_ptr<Tokenizer> open_llama2c_tokenizer(const std::string& path);

}  // namespace orthant::models
