#include "models/tasks/harness/gsm8k.h"

#include "models/tasks/harness/python_random.h"
#include "models/text/python_text.h"
#include "models/tokenizer/pattern.h"

namespace orthant::models {
namespace {

constexpr uint64_t kFewShotSeed = 1234;
constexpr std::string_view kMark = "#### ";
constexpr std::string_view kNone = "[invalid]";

std::string posed(std::string_view question) {
  return std::string("Question: ").append(question).append("\nAnswer:");
}

std::vector<std::string_view> matches_of(const Pattern& pattern, std::string_view text) {
  std::vector<std::string_view> matches;
  pattern.for_each_match(
      text, [&](size_t begin, size_t end) { matches.push_back(text.substr(begin, end - begin)); });
  return matches;
}

// Commas and dollar signs, what comes before the last mark with the mark, and a full stop at the end are not
// compared; nor is the case of letters.
std::string comparable(std::string_view text) {
  std::string kept = replace_all(replace_all(text, ",", ""), "$", "");
  const size_t mark = kept.rfind(kMark);
  if (mark != std::string::npos) kept.erase(0, mark + kMark.size());
  const size_t end = kept.ends_with('\n') ? kept.size() - 1 : kept.size();
  if (end > 0 && kept[end - 1] == '.') kept.erase(end - 1, 1);
  for (char& c : kept) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return kept;
}

std::string_view strict_answer(std::string_view response) {
  static const Pattern marked("#### -?[0-9.,]+");
  const auto found = matches_of(marked, response);
  return found.empty() ? kNone : found.front().substr(kMark.size());
}

std::string_view flexible_answer(std::string_view response) {
  static const Pattern number("-?[$0-9.,]{2,}|-?[0-9]+");
  const auto found = matches_of(number, response);
  return found.empty() ? kNone : found.back();
}

}  // namespace

std::string gsm8k_example(const Gsm8kProblem& problem) {
  return posed(problem.question) + " " + problem.answer + "\n\n";
}

std::string gsm8k_prompt(std::span<const Gsm8kProblem> examples, std::string_view question) {
  std::string prompt;
  for (const Gsm8kProblem& example : examples) prompt += gsm8k_example(example);
  return prompt + posed(question);
}

std::vector<std::vector<int64_t>> gsm8k_shots(int64_t train, int64_t questions, int64_t shots) {
  PythonRandom random(kFewShotSeed);
  std::vector<std::vector<int64_t>> drawn;
  for (int64_t question = 0; question < questions; ++question) drawn.push_back(random.sample(train, shots));
  return drawn;
}

Gsm8kMatch gsm8k_matches(std::string_view response, std::string_view answer) {
  const std::string reference = comparable(answer);
  return {.strict = comparable(strict_answer(response)) == reference,
          .flexible = comparable(flexible_answer(response)) == reference};
}

}  // namespace orthant::models
