// What stands on the command line after the verb: settings, configuration files and positional inputs.
//
// Forms: --field=value, --field value, --bool, --no value for "--" (ends the flags). Thread-safe.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/job/config.h"

namespace orthant {

struct Arguments {
  std::vector<std::string> config_files;
  std::vector<std::pair<std::string, std::string>> settings;  // dotted name, value, in order
  std::vector<std::string> inputs;
  bool help = false;
};

// Throws Error(kUsage) for an unknown field (nearest name suggested) or a missing value.
[[nodiscard]] Arguments parse_arguments(const ConfigSchema& schema, std::span<const std::string> arguments);

// Layers: defaults < files < inputs < flags, resolved. `positional` names the fields that take the inputs in
// order; the last takes the rest if it is repeated. Throws Error(kUsage) for an input too many.
[[nodiscard]] Config make_config(std::shared_ptr<const ConfigSchema> schema, const Arguments& arguments,
                                 std::span<const std::string> positional);

}  // namespace orthant
