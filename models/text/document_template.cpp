#include "models/text/document_template.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "models/formats/json_file.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

namespace json = boost::json;

bool names_a_function(const std::string& test_cases) {
  json::error_code failed;
  const json::value value = json::parse(test_cases, failed);
  if (failed || !value.is_object()) return false;
  const json::value* name = value.get_object().if_contains("fn_name");
  return name != nullptr && name->is_string() && !name->get_string().empty();
}

std::string user_turn(const OpenThoughtsPrompts& prompts, const json::object& line, const FieldText& field) {
  const std::string domain = field("domain");
  if (domain == "math") return prompts.math + field("problem");
  if (domain == "code") {
    std::string turn =
        names_a_function(field("test_cases")) ? prompts.code_of_function : prompts.code_from_input;
    turn.append(field("problem"));
    const json::value* starter = line.if_contains("starter_code");
    if (starter != nullptr && !starter->is_null()) turn.append("\n").append(field("starter_code"));
    return turn;
  }
  for (const char* const bare : {"puzzle", "biology", "chemistry", "physics"}) {
    if (domain == bare) return field("problem");
  }
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("the template openthoughts has no domain \"{}\"", domain),
               .why = "it knows math, code, puzzle, biology, chemistry and physics",
               .suggestion = "take such lines out of the text"});
}

}  // namespace

std::optional<OpenThoughtsPrompts> template_prompts(const std::string& name, const std::string& prompts) {
  if (name == "field") return std::nullopt;
  if (name != "openthoughts") {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("unknown document template \"{}\"", name),
                                    .suggestion = "Use field or openthoughts."});
  }
  if (prompts.empty()) {
    throw Error(
        ExitCode::kConfig,
        {.problem = "the template openthoughts has no prompts",
         .why = "they are data of the published preparation",
         .suggestion = "Give --text_prompts=FILE, a JSON object with system, math, code_from_input and "
                       "code_of_function, the line breaks included."});
  }
  const json::value file = read_json_file(prompts);
  const JsonFields fields(file, prompts, "the prompts");
  const auto prompt = [&](const char* key) {
    const std::optional<std::string> text = fields.text(key);
    if (!text) fields.refuse(key, "the template openthoughts needs it");
    return *text;
  };
  return OpenThoughtsPrompts{.system = prompt("system"),
                             .math = prompt("math"),
                             .code_from_input = prompt("code_from_input"),
                             .code_of_function = prompt("code_of_function")};
}

std::string openthoughts_document(const OpenThoughtsPrompts& prompts, const json::object& line,
                                  const FieldText& field) {
  return fmt::format("{}<｜User｜>{}<｜Assistant｜><think>\n{}\n</think>\n{}", prompts.system,
                     user_turn(prompts, line, field), field("deepseek_reasoning"),
                     field("deepseek_solution"));
}

}  // namespace orthant::models
