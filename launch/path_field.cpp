#include "launch/path_field.h"

#include <fmt/format.h>

namespace orthant::launch {

const std::string& given_path(const Invocation& invocation, const std::string& path) {
  if (!path.empty()) return path;
  throw Error(ExitCode::kUsage,
              {.problem = fmt::format("verb '{}' needs a path", invocation.verb.name),
               .suggestion = fmt::format("Write `orthant {} PATH`.", invocation.verb.name)});
}

}  // namespace orthant::launch
