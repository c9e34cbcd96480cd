// Documents that are put together from several fields of a JSON line, as a published data preparation does
// it. Thread-safe.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <optional>
#include <string>

namespace orthant::models {

// The prompts of the preparation of OpenThoughts-114k (configuration `metadata`). They are data: scores are
// comparable only where they are the same to the character.
struct OpenThoughtsPrompts {
  std::string system;
  std::string math;              // before the problem
  std::string code_from_input;   // before a problem that a program solves
  std::string code_of_function;  // before one that a named function solves
};

// Of the template `name`: nothing for "field", the prompts in the JSON object of the file `prompts` for
// "openthoughts". Throws Error(kConfig) for another name and where no file is given, Error(kIo) or
// Error(kData) for a file that cannot be read or lacks a prompt.
[[nodiscard]] std::optional<OpenThoughtsPrompts> template_prompts(const std::string& name,
                                                                  const std::string& prompts);

// The text of a string field of the line; throws where it is absent.
using FieldText = std::function<std::string(const char* name)>;

// SYSTEM <｜User｜> USER <｜Assistant｜><think> REASONING </think> SOLUTION with the line breaks of arXiv
// 2503.18878's preparation: fields domain, problem, deepseek_reasoning, deepseek_solution, and of code
// starter_code and test_cases. Throws Error(kConfig) for a domain that it does not know.
[[nodiscard]] std::string openthoughts_document(const OpenThoughtsPrompts& prompts,
                                                const boost::json::object& line, const FieldText& field);

}  // namespace orthant::models
