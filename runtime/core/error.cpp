#include "runtime/core/error.h"

#include <fmt/format.h>

namespace orthant {
namespace {

std::string join(const ErrorText& text) {
  std::string message = text.problem;
  if (!text.why.empty()) message += " (" + text.why + ")";
  if (!text.suggestion.empty()) message += " " + text.suggestion;
  return message;
}

}  // namespace

Error::Error(ExitCode code, const ErrorText& text) : std::runtime_error(join(text)), code_(code) {}

void require(bool holds, std::string_view invariant, std::source_location at) {
  if (holds) return;
  throw Error(ExitCode::kInternal, {.problem = fmt::format("broken invariant: {}", invariant),
                                    .why = fmt::format("{}:{}", at.file_name(), at.line()),
                                    .suggestion = "This is a bug in orthant; please report it."});
}

}  // namespace orthant
