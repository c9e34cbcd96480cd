// A language model ready to run: its weights, its tokenizer and what it is.
//
// Immutable after opening; thread-safe for reading.
#pragma once

#include <memory>
#include <string>

#include "models/tokenizer/tokenizer.h"
#include "models/transformer/weights.h"

namespace orthant::models {

struct LanguageModel {
  Weights weights;
  std::unique_ptr<Tokenizer> tokenizer;
  std::string description;  // of the file's format
  std::string identity;     // of the weights
};

// `tokenizer_path` overrides the model's own tokenizer (empty: its own). Throws what the readers throw.
[[nodiscard]] LanguageModel open_language_model(const std::string& path, const std::string& tokenizer_path,
                                                LoadRange range, Memory& memory, Stream& stream,
                                                kernels::Precision precision = kernels::Precision::kF32);

}  // namespace orthant::models
