#include "runtime/core/failure.h"

#include <new>

namespace orthant {
namespace {

Error out_of_memory() {
  return {ExitCode::kConfig,
          {.problem = "host memory ran out",
           .why = "the operating system refused more",
           .suggestion = "Use fewer latents, rows or tokens at a time, or spread the run over more hosts."}};
}

}  // namespace

Failure failure_of(const std::exception& exception) {
  if (const auto* ours = dynamic_cast<const Error*>(&exception)) return {ours->code(), ours->what()};
  if (dynamic_cast<const std::bad_alloc*>(&exception) != nullptr) return failure_of(out_of_memory());
  return {ExitCode::kInternal, exception.what()};
}

}  // namespace orthant
