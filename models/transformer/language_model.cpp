#include "models/transformer/language_model.h"

namespace orthant::models {

LanguageModel open_language_model(const std::string& path, const std::string& tokenizer_path, LoadRange range,
                                  Memory& memory, Stream& stream, kernels::Precision precision) {
  const std::unique_ptr<ModelFile> file = open_model_file(path);
  std::unique_ptr<Tokenizer> tokenizer = open_tokenizer(path, tokenizer_path);
  return {.weights = load_weights(*file, range, memory, stream, precision),
          .tokenizer = std::move(tokenizer),
          .description = file->description(),
          .identity = file->identity()};
}

}  // namespace orthant::models
