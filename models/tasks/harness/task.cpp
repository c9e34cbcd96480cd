#include "models/tasks/harness/task.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "runtime/core/error.h"
#include "runtime/job/nearest_name.h"

namespace orthant::models {
namespace {

TaskSpec choices(const std::string& name, std::vector<std::string> metrics,
                 const std::string& version = "1.0") {
  return {.name = name,
          .form = TaskForm::kChoices,
          .version = version,
          .metrics = std::move(metrics),
          .files = {name + ".jsonl"},
          .folders = {name}};
}

TaskSpec last_word(const std::string& name) {
  return {.name = name,
          .form = TaskForm::kGreedyWord,
          .metrics = {"acc", "perplexity"},
          .files = {name + ".jsonl"},
          .folders = {name}};
}

TaskSpec piqa() {
  TaskSpec task = choices("piqa", {"acc", "acc_norm"});
  task.files.emplace_back("valid.jsonl");
  return task;
}

TaskSpec mmlu() {
  return choices("mmlu", {"acc", "acc_stem", "acc_humanities", "acc_social_sciences", "acc_other"}, "2");
}

TaskSpec ifeval() {
  return {.name = "ifeval",
          .form = TaskForm::kGeneration,
          .version = "4.0",
          .metrics = {"prompt_level_strict_acc", "prompt_level_loose_acc", "inst_level_strict_acc",
                      "inst_level_loose_acc"},
          .files = {"ifeval.jsonl"},
          .folders = {"ifeval"},
          .max_new_tokens = 1280};
}

TaskSpec gsm8k() {
  return {.name = "gsm8k",
          .form = TaskForm::kGeneration,
          .version = "3.0",
          .metrics = {"exact_match_strict", "exact_match_flexible"},
          .files = {"gsm8k.jsonl", "test.jsonl"},
          .folders = {"gsm8k"},
          .shots = 5,
          .max_new_tokens = 256,
          .stops = {"Question:", "</s>", "<|im_end|>"}};
}

TaskSpec wikitext() {
  return {.name = "wikitext",
          .form = TaskForm::kRolling,
          .version = "2.0",
          .metrics = {"word_perplexity", "byte_perplexity", "bits_per_byte"},
          .files = {"wikitext.jsonl", "wiki.test.raw", "test.txt"},
          .folders = {"wikitext", "wikitext-2"}};
}

TaskSpec window_perplexity() {
  return {.name = "window_perplexity",
          .form = TaskForm::kWindows,
          .metrics = {"perplexity"},
          .files = {"test.txt"},
          .folders = {"window_perplexity", "wikitext-2", "wikitext"}};
}

TaskSpec gsm8k_answers() {
  return {.name = "gsm8k_answers",
          .form = TaskForm::kAnswers,
          .metrics = {"perplexity"},
          .files = {"gsm8k_answers.jsonl", "gsm8k.jsonl", "test.jsonl"},
          .folders = {"gsm8k_answers", "gsm8k"}};
}

}  // namespace

const std::vector<TaskSpec>& tasks() {
  static const std::vector<TaskSpec> all = {piqa(),
                                            choices("arc_easy", {"acc", "acc_norm"}),
                                            choices("arc_challenge", {"acc", "acc_norm"}),
                                            choices("boolq", {"acc"}, "2.0"),
                                            choices("winogrande", {"acc"}),
                                            choices("hellaswag", {"acc", "acc_norm"}),
                                            choices("openbookqa", {"acc", "acc_norm"}),
                                            choices("rte", {"acc"}),
                                            mmlu(),
                                            last_word("lambada_openai"),
                                            last_word("lambada_standard"),
                                            ifeval(),
                                            gsm8k(),
                                            wikitext(),
                                            window_perplexity(),
                                            gsm8k_answers()};
  return all;
}

const TaskSpec& find_task(std::string_view name) {
  std::vector<std::string> names;
  for (const TaskSpec& task : tasks()) {
    if (task.name == name) return task;
    names.push_back(task.name);
  }
  const std::string nearest = nearest_name(name, names);
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("unknown task \"{}\"", name),
               .why = fmt::format("the tasks are {}", fmt::join(names, ", ")),
               .suggestion = nearest.empty() ? "" : fmt::format("Did you mean {}?", nearest)});
}

}  // namespace orthant::models
