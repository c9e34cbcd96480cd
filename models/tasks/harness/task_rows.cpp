#include "models/tasks/harness/task_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "models/tasks/harness/gsm8k.h"
#include "models/tasks/harness/mmlu_subjects.h"
#include "models/tasks/harness/wikitext.h"
#include "models/text/python_text.h"
#include "runtime/core/error.h"
#include "runtime/core/parse_number.h"

namespace orthant::models {
namespace {

// Number of the choice that `key` holds, counted from `first`.
int64_t label_of(const JsonFields& row, std::string_view key, int64_t choices, int64_t first = 0) {
  const boost::json::value& value = row.required(key);
  const std::optional<int64_t> label =
      value.is_string() ? parse_number<int64_t>(std::string_view(value.get_string())) : row.integer(key);
  if (!label) row.refuse(key, "a whole number is expected");
  if (*label < first || *label >= first + choices) {
    row.refuse(key,
               fmt::format("it is {} where {} to {} are the choices", *label, first, first + choices - 1));
  }
  return *label - first;
}

TaskDocument with_choices(const std::string& context, const std::vector<std::string>& choices, int64_t gold) {
  TaskDocument document{.gold = gold};
  for (const std::string& choice : choices) {
    document.requests.push_back({context, " " + choice});
    document.choice_characters.push_back(code_points(choice));
  }
  return document;
}

// {"text": [..], "label": [..]}; labels are letters or digits, so the right one is found by its place.
struct LabelledChoices {
  std::vector<std::string> texts;
  int64_t gold = 0;
};

LabelledChoices labelled_choices(const JsonFields& row, std::string_view answer) {
  const JsonFields choices = row.part("choices");
  const std::vector<std::string> labels = choices.required_texts("label");
  LabelledChoices found{.texts = choices.required_texts("text")};
  if (found.texts.size() != labels.size() || labels.empty()) {
    row.refuse("choices", "it needs a text for each label");
  }
  const auto right = std::find(labels.begin(), labels.end(), answer);
  if (right == labels.end()) row.refuse("answerKey", "it is no label of the choices");
  found.gold = right - labels.begin();
  return found;
}

TaskDocument piqa(const JsonFields& row) {
  return with_choices("Question: " + row.required_text("goal") + "\nAnswer:",
                      {row.required_text("sol1"), row.required_text("sol2")}, label_of(row, "label", 2));
}

TaskDocument arc(const JsonFields& row) {
  const LabelledChoices choices = labelled_choices(row, row.required_text("answerKey"));
  return with_choices("Question: " + row.required_text("question") + "\nAnswer:", choices.texts,
                      choices.gold);
}

TaskDocument openbookqa(const JsonFields& row) {
  const std::string key = row.required_text("answerKey");
  const LabelledChoices choices = labelled_choices(row, python_left_strip(key));
  return with_choices(row.required_text("question_stem"), choices.texts, choices.gold);
}

TaskDocument boolq(const JsonFields& row) {
  return with_choices(
      row.required_text("passage") + "\nQuestion: " + row.required_text("question") + "?\nAnswer:",
      {"no", "yes"}, label_of(row, "label", 2));
}

TaskDocument rte(const JsonFields& row) {
  return with_choices(row.required_text("sentence1") + "\nQuestion: " + row.required_text("sentence2") +
                          " True or False?\nAnswer:",
                      {"True", "False"}, label_of(row, "label", 2));
}

// The options differ in the context, and what follows them is scored.
TaskDocument winogrande(const JsonFields& row) {
  const std::string sentence = row.required_text("sentence");
  const size_t gap = sentence.find('_');
  if (gap == std::string::npos) row.refuse("sentence", "it has no _ to fill");
  const std::string_view after_gap = std::string_view(sentence).substr(gap + 1);
  const std::string rest = std::string(" ").append(python_strip(after_gap));
  TaskDocument document{.gold = label_of(row, "answer", 2, 1)};
  for (const char* const option : {"option1", "option2"}) {
    const std::string text = row.required_text(option);
    document.requests.push_back({sentence.substr(0, gap) + text, rest});
    document.choice_characters.push_back(code_points(text));
  }
  return document;
}

TaskDocument hellaswag(const JsonFields& row) {
  std::vector<std::string> endings = row.required_texts("endings");
  for (std::string& ending : endings) ending = hellaswag_clean(ending);
  const std::string context = row.required_text("activity_label") + ": " + row.required_text("ctx_a") + " " +
                              python_capitalize(row.required_text("ctx_b"));
  const int64_t gold = label_of(row, "label", static_cast<int64_t>(endings.size()));
  return with_choices(hellaswag_clean(context), endings, gold);
}

TaskDocument mmlu(const JsonFields& row) {
  const std::vector<std::string> names = {"A", "B", "C", "D"};
  const std::vector<std::string> choices = row.required_texts("choices");
  if (choices.size() != names.size()) row.refuse("choices", "four are expected");
  const std::string subject = row.required_text("subject");
  if (!is_mmlu_subject(subject)) row.refuse("subject", fmt::format("\"{}\" is none of the 57", subject));
  const std::string question = row.required_text("question");
  std::string context =
      fmt::format("The following are multiple choice questions (with answers) about {}.\n\n{}",
                  replace_all(subject, "_", " "), python_strip(question));
  for (size_t c = 0; c < names.size(); ++c) context += "\n" + names[c] + ". " + choices[c];
  TaskDocument document =
      with_choices(context + "\nAnswer:", names, label_of(row, "answer", static_cast<int64_t>(names.size())));
  document.group = subject;
  return document;
}

TaskDocument lambada(const JsonFields& row) {
  const std::string text = row.required_text("text");
  const size_t last_space = text.rfind(' ');
  if (last_space == std::string::npos) return {.requests = {{"", " " + text}}};
  return {.requests = {{text.substr(0, last_space), text.substr(last_space)}}};
}

TaskDocument ifeval(const JsonFields& row) {
  (void)row.required_texts("instruction_id_list");
  (void)row.required_array("kwargs");
  return {.requests = {{row.required_text("prompt"), ""}}};
}

TaskDocument gsm8k(const JsonFields& row) {
  return {.requests = {{gsm8k_prompt({}, row.required_text("question")), ""}},
          .answer = row.required_text("answer")};
}

TaskDocument gsm8k_answers(const JsonFields& row) {
  TaskDocument document = gsm8k(row);
  document.requests.front().continuation = " " + document.answer;
  return document;
}

TaskDocument wikitext(const JsonFields& row) {
  return document_of_page(row.required_text("page"));
}

using ReadRow = TaskDocument (*)(const JsonFields& row);

const std::map<std::string, ReadRow, std::less<>>& readers() {
  static const std::map<std::string, ReadRow, std::less<>> all = {{"piqa", piqa},
                                                                  {"arc_easy", arc},
                                                                  {"arc_challenge", arc},
                                                                  {"boolq", boolq},
                                                                  {"winogrande", winogrande},
                                                                  {"hellaswag", hellaswag},
                                                                  {"openbookqa", openbookqa},
                                                                  {"rte", rte},
                                                                  {"mmlu", mmlu},
                                                                  {"lambada_openai", lambada},
                                                                  {"lambada_standard", lambada},
                                                                  {"ifeval", ifeval},
                                                                  {"gsm8k", gsm8k},
                                                                  {"gsm8k_answers", gsm8k_answers},
                                                                  {"wikitext", wikitext}};
  return all;
}

}  // namespace

TaskDocument document_of_row(const TaskSpec& task, const JsonFields& row) {
  const auto reader = readers().find(task.name);
  require(reader != readers().end(), "the task has rows");
  return reader->second(row);
}

TaskDocument document_of_page(std::string_view page) {
  return {.requests = {{"", wikitext_detokenize(page)}}, .page = std::string(page)};
}

std::string hellaswag_clean(std::string_view text) {
  const std::string titled = replace_all(python_strip(text), " [title]", ". ");
  std::string kept;
  for (size_t at = 0; at < titled.size();) {
    const size_t close = titled[at] == '[' ? titled.find_first_of("]\n", at) : std::string::npos;
    if (close != std::string::npos && titled[close] == ']') {
      at = close + 1;
      continue;
    }
    kept += titled[at++];
  }
  return replace_all(kept, "  ", " ");
}

}  // namespace orthant::models
