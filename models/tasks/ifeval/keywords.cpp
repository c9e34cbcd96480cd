#include <fmt/format.h>

#include <algorithm>

#include "models/tasks/ifeval/checks.h"
#include "models/tasks/ifeval/text_search.h"

namespace orthant::models {
namespace {

// Python's \b: its word characters are letters, numbers and the underscore, but no combining marks.
std::string as_whole_word(const std::string& expression) {
  const std::string edge = fmt::format("(?:(?<=[{0}])(?![{0}])|(?<![{0}])(?=[{0}]))", kPythonWord);
  return edge + "(?:" + expression + ")" + edge;
}

Pattern whatever_the_case(const std::string& expression) {
  return Pattern("(?i)" + expression);
}

}  // namespace

bool has_keywords(const Instruction& instruction, const std::string& response) {
  const std::vector<std::string> keywords = texts_argument(instruction, "keywords");
  return std::ranges::all_of(
      keywords, [&](const std::string& keyword) { return contains(whatever_the_case(keyword), response); });
}

bool has_keyword_frequency(const Instruction& instruction, const std::string& response) {
  const std::string keyword(python_strip(text_argument(instruction, "keyword")));
  const auto occurrences = std::ssize(find_all(whatever_the_case(keyword), response));
  return count_satisfies(instruction, "relation", "frequency", occurrences);
}

bool lacks_forbidden_words(const Instruction& instruction, const std::string& response) {
  const std::vector<std::string> words = texts_argument(instruction, "forbidden_words");
  return std::ranges::none_of(words, [&](const std::string& word) {
    return contains(whatever_the_case(as_whole_word(word)), response);
  });
}

bool has_letter_frequency(const Instruction& instruction, const std::string& response) {
  const std::string letter = lower(text_argument(instruction, "letter"));
  const auto occurrences = std::ssize(split(letter, lower(response))) - 1;
  return count_satisfies(instruction, "let_relation", "let_frequency", occurrences);
}

}  // namespace orthant::models
