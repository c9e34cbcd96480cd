#include <fmt/format.h>

#include <algorithm>

#include "models/tasks/ifeval/checks.h"
#include "models/tasks/ifeval/sentences.h"
#include "models/tasks/ifeval/text_search.h"

namespace orthant::models {
namespace {

std::string_view without_leading(std::string_view text, char mark) {
  while (text.starts_with(mark)) text.remove_prefix(1);
  return text;
}

// Of a paragraph that is not blank: up to white space or a mark, in lower case.
std::string first_word(std::string_view paragraph) {
  static const Pattern space(fmt::format("[{}]+", kPythonSpace));
  const std::string_view word =
      without_leading(without_leading(split(space, python_strip(paragraph)).front(), '\''), '"');
  return lower(word.substr(0, word.find_first_of(".,?!'\"")));
}

}  // namespace

bool has_number_of_sentences(const Instruction& instruction, const std::string& response) {
  return count_satisfies(instruction, "relation", "num_sentences", count_sentences(response));
}

bool has_number_of_paragraphs(const Instruction& instruction, const std::string& response) {
  static const Pattern divider(fmt::format(R"([{0}]?\*\*\*[{0}]?)", kPythonSpace));
  const std::vector<std::string_view> paragraphs = split(divider, response);
  auto filled = std::ssize(paragraphs);
  for (size_t i = 0; i < paragraphs.size(); ++i) {
    if (!is_blank(paragraphs[i])) continue;
    if (i != 0 && i + 1 != paragraphs.size()) return false;
    --filled;
  }
  return filled == count_argument(instruction, "num_paragraphs");
}

bool has_number_of_words(const Instruction& instruction, const std::string& response) {
  static const Pattern word(fmt::format("[{}]+", kPythonWord));
  return count_satisfies(instruction, "relation", "num_words", std::ssize(find_all(word, response)));
}

// The reference counts the paragraphs that are not blank, but takes the n-th of all.
bool has_first_word_of_paragraph(const Instruction& instruction, const std::string& response) {
  const std::vector<std::string_view> paragraphs = split("\n\n", response);
  const int64_t filled = std::ssize(paragraphs) - std::ranges::count_if(paragraphs, is_blank);
  const int64_t nth = count_argument(instruction, "nth_paragraph");
  if (nth > filled || filled != count_argument(instruction, "num_paragraphs")) return false;
  const std::string_view paragraph = paragraphs[static_cast<size_t>(nth - 1)];
  return !is_blank(paragraph) && first_word(paragraph) == lower(text_argument(instruction, "first_word"));
}

}  // namespace orthant::models
