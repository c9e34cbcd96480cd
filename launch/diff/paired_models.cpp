#include "launch/diff/paired_models.h"

#include "models/formats/model_file.h"
#include "models/text/same_tokens.h"

namespace orthant::launch {

PairedModels open_paired_models(const PairedModelFields& fields, const PairedRanges& ranges, Memory& memory,
                                Stream& stream, Log& log) {
  const auto open = [&](const std::string& path, models::LoadRange range) {
    return models::open_language_model(path, fields.tokenizer, range, memory, stream, fields.precision);
  };
  models::LanguageModel first = open(fields.model, ranges.first);
  models::TokenRows text(fields.text, fields.rows, first.tokenizer.get());
  models::warn_of_invalid_utf8(log, fields.text.path, text.counts().invalid_utf8);
  models::check_rows(text, fields.text.path, first.weights.config.context_length);
  PairedModels pair{.first = std::move(first), .second = {}, .text = std::move(text)};
  if (fields.other_model.empty()) return pair;
  pair.second = open(fields.other_model, ranges.second);
  const models::TokenRows other(fields.text, fields.rows, pair.second->tokenizer.get());
  models::check_same_tokens({&pair.text, pair.first.tokenizer.get()}, {&other, pair.second->tokenizer.get()});
  models::check_rows(other, fields.text.path, pair.second->weights.config.context_length);
  return pair;
}

int64_t layers_of(const std::string& path) {
  return models::open_model_file(path)->config().layers;
}

}  // namespace orthant::launch
