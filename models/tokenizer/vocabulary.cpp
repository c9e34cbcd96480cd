#include "models/tokenizer/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/tokenizer/utf8.h"
#include "runtime/core/error.h"

namespace orthant::models {

void Vocabulary::add_end(std::optional<int32_t> id) {
  if (id && std::find(ends.begin(), ends.end(), *id) == ends.end()) ends.push_back(*id);
}

void check_utf8(std::string_view text) {
  const size_t at = first_ill_formed(text);
  if (at == std::string_view::npos) return;
  throw Error(ExitCode::kData, {.problem = fmt::format("a text of {} bytes cannot be tokenized", text.size()),
                                .why = fmt::format("byte {} is not well-formed UTF-8", at),
                                .suggestion = "replace invalid bytes first"});
}

}  // namespace orthant::models
