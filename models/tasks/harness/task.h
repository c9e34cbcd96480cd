// The tasks of lm-evaluation-harness 0.4.9 (and two of the N:M activation-sparsity study, arXiv 2509.22166):
// what each asks of a language model and by what it is scored.
//
// Text alone: no token, no forward. The request strings are the harness's, without chat template. Values are
// immutable; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orthant::models {

enum class TaskForm {
  kChoices,     // a request for each choice; the most probable one is the answer
  kGreedyWord,  // one request, whose continuation should be what greedy decoding gives
  kRolling,     // the log-likelihood of a whole page in windows that keep a token of context
  kWindows,     // non-overlapping windows of one text (models/tasks/window_perplexity.h)
  kAnswers,     // one request, whose continuation is a worked-out answer
  kGeneration,  // greedy text after a prompt
};

struct TaskSpec {
  std::string name = {};
  TaskForm form = TaskForm::kChoices;
  std::string version = "1.0";            // of the task in the harness
  std::vector<std::string> metrics = {};  // the headline first
  std::vector<std::string> files = {};    // names that its data may have, the preferred first
  std::vector<std::string> folders = {};  // names of folders with its data, the task's own first
  int64_t shots = 0;                      // examples before the question (gsm8k); may be set to 0
  int64_t max_new_tokens = 0;             // of a generation
  std::vector<std::string> stops = {};    // strings that end a generation, beside the model's end of text
};

// Every task, in the order in which they are listed to users.
[[nodiscard]] const std::vector<TaskSpec>& tasks();

// Throws Error(kConfig) with the nearest name for one that is none.
[[nodiscard]] const TaskSpec& find_task(std::string_view name);

// Both texts as encode_pair() of models/tasks/pair_scoring.h takes them. The context of a rolling request is
// empty, as is the continuation of a prompt.
struct TaskRequest {
  std::string context;
  std::string continuation;
};

// Fields without meaning for a task stay empty.
struct TaskDocument {
  std::vector<TaskRequest> requests = {};
  int64_t gold = 0;                             // which choice is right
  std::vector<int64_t> choice_characters = {};  // code points of the bare choice, without the space before it
  std::string group = {};                       // mmlu: the subject
  std::string page = {};                        // wikitext: the original page; window_perplexity: the text
  std::string answer = {};                      // gsm8k: the reference, worked out
};

}  // namespace orthant::models
