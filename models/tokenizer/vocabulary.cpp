#include "models/tokenizer/vocabulary.h"

#include <fmt/format.h>

#include "models/tokenizer/utf8.h"
#include "runtime/core/error.h"

namespace orthant::models {

void check_utf8(std::string_view text) {
  const size_t at = first_ill_formed(text);
  if (at == std::string_view::npos) return;
  throw Error(ExitCode::kData, {.problem = fmt::format("a text of {} bytes cannot be tokenized", text.size()),
                                .why = fmt::format("byte {} is not well-formed UTF-8", at),
                                .suggestion = "replace invalid bytes first"});
}

}  // namespace orthant::models
