#include "models/tasks/ifeval/documents.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "models/tasks/ifeval/check_table.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

namespace json = boost::json;

struct Line {
  const std::string& path;
  int64_t number;
  [[noreturn]] void refuse(const std::string& why, const std::string& suggestion = {}) const {
    throw Error(ExitCode::kData, {.problem = fmt::format("{}, line {} is no IFEval prompt", path, number),
                                  .why = why,
                                  .suggestion = suggestion});
  }
};

const json::value& field(const json::object& object, std::string_view name, json::kind kind,
                         const Line& line) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr) line.refuse(fmt::format("there is no field \"{}\"", name));
  if (value->kind() == kind) return *value;
  const std::string_view found = json::to_string(value->kind());
  const std::string_view wanted = json::to_string(kind);
  line.refuse(fmt::format("the field \"{}\" is of type {}, not {}", name, found, wanted));
}

bool is_false_in_python(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return true;
    case json::kind::bool_:
      return !value.get_bool();
    case json::kind::string:
      return value.get_string().empty();
    case json::kind::array:
      return value.get_array().empty();
    case json::kind::object:
      return value.get_object().empty();
    default:
      return value.to_number<double>() == 0.0;
  }
}

json::object arguments_of(const json::value& all, const Line& line) {
  if (!all.is_object()) line.refuse("an element of \"kwargs\" is no object");
  json::object arguments;
  for (const auto& argument : all.get_object()) {
    if (!is_false_in_python(argument.value())) arguments.insert(argument);
  }
  return arguments;
}

// Adds one instruction to `document`.
void take_instruction(const json::value& id, const json::value& arguments, const Line& line,
                      IfevalDocument& document) {
  if (!id.is_string()) line.refuse("an element of \"instruction_id_list\" is no string");
  Instruction instruction{{id.get_string().begin(), id.get_string().end()}, arguments_of(arguments, line)};
  if (instruction.id == kUncheckedInstruction) {
    ++document.unchecked_instructions;
    return;
  }
  const Check* check = find_check(instruction.id);
  if (check == nullptr) {
    const std::string nearest = nearest_instruction(instruction.id);
    line.refuse(fmt::format("there is no instruction \"{}\"", instruction.id),
                nearest.empty() ? "" : fmt::format("did you mean {}?", nearest));
  }
  const std::string fault = argument_fault(*check, instruction);
  if (!fault.empty()) line.refuse(fmt::format("{}: {}", instruction.id, fault));
  document.instructions.push_back(std::move(instruction));
}

IfevalDocument document_of(const std::string& text, const Line& line) {
  json::error_code error;
  const json::value value = json::parse(text, error);
  if (error) line.refuse(error.message());
  if (!value.is_object()) line.refuse("no JSON object");
  const json::object& object = value.get_object();
  IfevalDocument document;
  document.key = field(object, "key", json::kind::int64, line).get_int64();
  const json::string& prompt = field(object, "prompt", json::kind::string, line).get_string();
  document.prompt.assign(prompt.begin(), prompt.end());
  const json::array& ids = field(object, "instruction_id_list", json::kind::array, line).get_array();
  const json::array& arguments = field(object, "kwargs", json::kind::array, line).get_array();
  if (ids.empty()) line.refuse("\"instruction_id_list\" is empty");
  if (ids.size() != arguments.size()) {
    line.refuse(fmt::format("\"instruction_id_list\" has {} elements and \"kwargs\" {}", ids.size(),
                            arguments.size()));
  }
  for (size_t i = 0; i < ids.size(); ++i) take_instruction(ids[i], arguments[i], line, document);
  return document;
}

[[noreturn]] void throw_unreadable(const std::string& path) {
  throw Error(ExitCode::kIo,
              {.problem = fmt::format("{} cannot be read", path), .why = std::strerror(errno)});
}

}  // namespace

std::vector<IfevalDocument> read_ifeval(const std::string& path, int64_t limit) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw_unreadable(path);
  std::vector<IfevalDocument> documents;
  std::string text;
  for (int64_t number = 1; std::getline(file, text); ++number) {
    if (limit > 0 && std::ssize(documents) == limit) return documents;
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    documents.push_back(document_of(text, {path, number}));
  }
  if (file.bad()) throw_unreadable(path);
  if (documents.empty()) {
    throw Error(ExitCode::kData, {.problem = fmt::format("{} has no IFEval prompt", path),
                                  .why = "it has no line that is not blank"});
  }
  return documents;
}

}  // namespace orthant::models
