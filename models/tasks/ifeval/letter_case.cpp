#include <algorithm>

#include "models/tasks/ifeval/checks.h"
#include "models/tasks/ifeval/text_search.h"
#include "models/tasks/ifeval/treebank_words.h"

namespace orthant::models {

bool has_capital_word_frequency(const Instruction& instruction, const std::string& response) {
  const std::vector<std::string> words = treebank_words(response);
  return count_satisfies(instruction, "capital_relation", "capital_frequency",
                         std::ranges::count_if(words, is_upper));
}

bool is_in_capitals(const Instruction& /*instruction*/, const std::string& response) {
  return is_upper(response);
}

bool is_in_lower_case(const Instruction& /*instruction*/, const std::string& response) {
  return is_lower(response);
}

}  // namespace orthant::models
