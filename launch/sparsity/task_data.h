// A task ready to be measured: its documents, their requests as tokens, and the units in which ranks take
// them.
//
// Immutable once loaded; thread-safe for reading.
#pragma once

#include <string>
#include <vector>

#include "launch/config.pb.h"
#include "models/tasks/harness/task.h"
#include "models/tasks/ifeval/documents.h"
#include "models/tasks/pair_scoring.h"
#include "models/tokenizer/tokenizer.h"

namespace orthant::launch {

// Documents [first, first + count): what one rank measures at a time and one record holds.
struct TaskUnit {
  int64_t first = 0;
  int64_t count = 0;
};

struct TaskData {
  models::TaskSpec spec;
  std::vector<models::TaskDocument> documents = {};  // of window_perplexity one a window
  // [documents][requests]; of windows and generations empty
  std::vector<std::vector<models::TokenPair>> pairs = {};
  std::vector<std::vector<int32_t>> windows = {};   // [documents] of window_perplexity; else empty
  std::vector<std::vector<int32_t>> prompts = {};   // [documents] of a generation; else empty
  std::vector<bool> cut_prompts = {};               // [documents] that lost tokens on the left
  std::vector<models::IfevalDocument> ifeval = {};  // of ifeval, in the order of documents; else empty
  std::string hash = {};                            // of all tokens, for keys of records
  [[nodiscard]] bool is_generation() const { return spec.form == models::TaskForm::kGeneration; }
  // All documents in units. A batch that statistics run over is not torn apart.
  [[nodiscard]] std::vector<TaskUnit> units(const Sparsity& own) const;
};

// Documents of the task that are measured: 0 = all. Throws Error(kConfig) for a limit that is none.
[[nodiscard]] int64_t limit_of(const Sparsity& own, const std::string& task);

// `context_length` is the model's. Throws what reading throws; Error(kConfig) where there are no documents.
[[nodiscard]] TaskData load_task(const models::TaskSpec& spec, const Sparsity& own,
                                 const models::Tokenizer& tokenizer, int64_t context_length);

}  // namespace orthant::launch
