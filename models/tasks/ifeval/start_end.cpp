#include "models/tasks/ifeval/checks.h"
#include "models/tasks/ifeval/text_search.h"

namespace orthant::models {

bool has_end_phrase(const Instruction& instruction, const std::string& response) {
  const std::string phrase = lower(python_strip(text_argument(instruction, "end_phrase")));
  return lower(strip(python_strip(response), '"')).ends_with(phrase);
}

bool is_quoted(const Instruction& /*instruction*/, const std::string& response) {
  const std::string_view text = python_strip(response);
  return text.size() > 1 && text.starts_with('"') && text.ends_with('"');
}

}  // namespace orthant::models
