#include "models/tasks/ifeval/instruction.h"

#include <boost/json/array.hpp>

namespace orthant::models {

std::string text_argument(const Instruction& instruction, std::string_view name) {
  const boost::json::string& text = instruction.arguments.at(name).as_string();
  return {text.begin(), text.end()};
}

std::vector<std::string> texts_argument(const Instruction& instruction, std::string_view name) {
  std::vector<std::string> texts;
  for (const boost::json::value& text : instruction.arguments.at(name).as_array()) {
    texts.emplace_back(text.as_string().begin(), text.as_string().end());
  }
  return texts;
}

int64_t count_argument(const Instruction& instruction, std::string_view name) {
  return instruction.arguments.at(name).to_number<int64_t>();
}

bool count_satisfies(const Instruction& instruction, std::string_view relation, std::string_view count,
                     int64_t actual) {
  const int64_t threshold = count_argument(instruction, count);
  return text_argument(instruction, relation) == kLessThan ? actual < threshold : actual >= threshold;
}

}  // namespace orthant::models
