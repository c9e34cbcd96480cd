#include "runtime/job/arguments.h"

#include <fmt/format.h>

namespace orthant {
namespace {

// The value of the flag `name` that has none after "=": true for a bool, the next argument otherwise.
std::string value_beside(const ConfigSchema& schema, const std::string& name,
                         std::span<const std::string> arguments, size_t& at) {
  const bool is_config = name == "config";
  if (!is_config && schema.field(name).is_bool()) return "true";
  const bool missing = at + 1 >= arguments.size() || arguments[at + 1].starts_with("--");
  if (missing) {
    throw Error(ExitCode::kUsage, {.problem = fmt::format("--{} needs a value", name),
                                   .suggestion = fmt::format("Write --{}=VALUE.", name)});
  }
  return arguments[++at];
}

// Escapes a whole text so that a repeated field takes it as one value.
std::string one_value(const Field& field, const std::string& text) {
  if (!field.is_repeated()) return text;
  std::string escaped;
  for (const char c : text) escaped += c == ',' ? std::string("\\,") : std::string(1, c);
  return escaped;
}

}  // namespace

Arguments parse_arguments(const ConfigSchema& schema, std::span<const std::string> arguments) {
  Arguments parsed;
  bool flags_ended = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (flags_ended || argument.size() < 2 || argument[0] != '-') {
      parsed.inputs.push_back(argument);
    } else if (argument == "--") {
      flags_ended = true;
    } else if (argument == "--help" || argument == "-h") {
      parsed.help = true;
    } else if (!argument.starts_with("--")) {
      schema.throw_unknown(argument.substr(1), fmt::format("'{}'", argument));
    } else {
      const size_t equals = argument.find('=');
      const std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
      const std::string value = equals == std::string::npos ? value_beside(schema, name, arguments, i)
                                                            : argument.substr(equals + 1);
      if (name == "config") {
        parsed.config_files.push_back(value);
      } else {
        parsed.settings.emplace_back(schema.field(name).name(), value);
      }
    }
  }
  return parsed;
}

Config make_config(std::shared_ptr<const ConfigSchema> schema, const Arguments& arguments,
                   std::span<const std::string> positional) {
  Config config(schema);
  for (const std::string& path : arguments.config_files) config.merge_file(path);
  size_t at = 0;
  for (const std::string& input : arguments.inputs) {
    if (at >= positional.size()) {
      throw Error(ExitCode::kUsage, {.problem = fmt::format("unexpected argument '{}'", input),
                                     .why = fmt::format("verb '{}' takes {} input{}", schema->verb(),
                                                        positional.size(), positional.size() == 1 ? "" : "s"),
                                     .suggestion = fmt::format("See `orthant {} --help`.", schema->verb())});
    }
    const Field& field = schema->field(positional[at]);
    config.set(field.name(), one_value(field, input));
    if (!field.is_repeated()) ++at;
  }
  for (const auto& [name, value] : arguments.settings) config.set(name, value);
  config.resolve();
  return config;
}

}  // namespace orthant
