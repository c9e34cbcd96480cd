#include <fmt/format.h>

#include "models/tasks/ifeval/checks.h"
#include "models/tasks/ifeval/text_search.h"

namespace orthant::models {
namespace {

// The two usual marks are found with or without a space inside; any other is an expression of its own.
std::string postscript_expression(std::string_view mark) {
  if (mark == "P.P.S") return fmt::format(R"(p\.[{0}]?p\.[{0}]?s)", kPythonSpace);
  if (mark == "P.S.") return fmt::format(R"(p\.[{0}]?s\.)", kPythonSpace);
  return lower(mark);
}

}  // namespace

bool has_placeholders(const Instruction& instruction, const std::string& response) {
  static const Pattern placeholder(R"(\[.*?\])");
  return std::ssize(find_all(placeholder, response)) >= count_argument(instruction, "num_placeholders");
}

bool has_postscript(const Instruction& instruction, const std::string& response) {
  const std::string mark = text_argument(instruction, "postscript_marker");
  return contains(Pattern(postscript_expression(python_strip(mark))), lower(response));
}

}  // namespace orthant::models
