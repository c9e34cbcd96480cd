#include "launch/program/path_field.h"

#include <fmt/format.h>

#include <filesystem>

namespace orthant::launch {

const std::string& given_path(const Invocation& invocation, const std::string& path) {
  if (path.empty()) {
    throw Error(ExitCode::kUsage,
                {.problem = fmt::format("verb '{}' needs a path", invocation.verb.name),
                 .suggestion = fmt::format("Write `orthant {} PATH`.", invocation.verb.name)});
  }
  if (std::filesystem::exists(path)) return path;
  throw Error(ExitCode::kIo, {.problem = fmt::format("there is no '{}'", path),
                              .why = "no such file or directory",
                              .suggestion = "Check the path."});
}

}  // namespace orthant::launch
