// Two language models over the same tokens of one text, as the verbs of diff compare them. Not Collective.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launch/program/required_field.h"
#include "models/text/token_rows.h"
#include "models/transformer/hook.h"
#include "models/transformer/language_model.h"

namespace orthant::launch {

// The fields of a verb that say which models read which text.
struct PairedModelFields {
  std::string model = {};
  std::string other_model = {};  // empty: the same
  std::string tokenizer = {};    // empty: their own
  models::TextSource text = {};
  models::RowOptions rows = {};
  kernels::Precision precision = kernels::Precision::kF32;
};

template <typename M>
[[nodiscard]] PairedModelFields paired_model_fields(const M& own) {
  return {.model = required_field("model", own.model()),
          .other_model = own.other_model(),
          .tokenizer = own.tokenizer(),
          .text = {.path = required_field("text", own.text()),
                   .field = own.text_field(),
                   .split = models::text_split_from_name(own.text_split())},
          .rows = {.context = own.context(), .tokens = own.tokens(), .bos = own.bos(), .pack = own.pack()},
          .precision = kernels::precision_from_name(own.precision())};
}

struct PairedModels {
  models::LanguageModel first;
  std::optional<models::LanguageModel> second;  // none: the first again
  models::TokenRows text;
  [[nodiscard]] const models::LanguageModel& other() const { return second ? *second : first; }
};

// Blocks and head of each model that are loaded.
struct PairedRanges {
  models::LoadRange first = {};
  models::LoadRange second = {};
};

// Throws Error(kConfig) where the models read the text as different tokens, naming the first, or where a row
// is longer than a model's context. Warns where ill-formed UTF-8 was replaced.
[[nodiscard]] PairedModels open_paired_models(const PairedModelFields& fields, const PairedRanges& ranges,
                                              Memory& memory, Stream& stream, Log& log);

// How many blocks the model at `path` has; only its header is read.
[[nodiscard]] int64_t layers_of(const std::string& path);

}  // namespace orthant::launch
