#include "models/tasks/ifeval/checks.h"
#include "models/tasks/ifeval/text_search.h"

namespace orthant::models {

bool has_two_responses(const Instruction& /*instruction*/, const std::string& response) {
  const std::vector<std::string_view> parts = split("******", response);
  std::vector<std::string_view> answers;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!is_blank(parts[i])) {
      answers.push_back(python_strip(parts[i]));
    } else if (i != 0 && i + 1 != parts.size()) {
      return false;
    }
  }
  return answers.size() == 2 && answers[0] != answers[1];
}

bool repeats_prompt(const Instruction& instruction, const std::string& response) {
  const std::string prompt = lower(python_strip(text_argument(instruction, "prompt_to_repeat")));
  return lower(python_strip(response)).starts_with(prompt);
}

}  // namespace orthant::models
