#include "kernels/dispatch.h"

#include <fmt/format.h>

#include "runtime/core/error.h"

namespace orthant::kernels {

void throw_no_body(std::string_view op, Device device) {
  throw Error(ExitCode::kDevice, {.problem = fmt::format("{} cannot run on {}", op, to_string(device)),
                                  .why = "CUDA is not configured in this build",
                                  .suggestion = "Run with --device=cpu."});
}

}  // namespace orthant::kernels
