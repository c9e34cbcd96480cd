// Byte-level BPE, the tokenizer of GPT-2, Llama 3, Qwen 2 and SmolLM: text is cut by a pre-tokenizer, each
// piece becomes bytes, and bytes are merged by rank.
//
// A byte without a token of its own is left out, as the reference implementations do.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/tokenizer/pre_tokenizer.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/vocabulary.h"

namespace orthant::models {

struct ByteLevelParts {
  Vocabulary vocabulary;                                    // tokens as bytes
  std::vector<std::pair<std::string, std::string>> merges;  // as bytes, by rank
  PreTokenizer pre_tokenizer;
  bool ignore_merges = false;  // a piece that is a token is never split
};

// Throws Error(kData) when a merge names a token that does not exist; `path` is for messages.
[[nodiscard]] std::unique_ptr<Tokenizer> make_byte_level_bpe(ByteLevelParts parts, const std::string& path);

}  // namespace orthant::models
