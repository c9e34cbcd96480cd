// The documents of a task from its files. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "models/tasks/harness/task.h"

namespace orthant::models {

// The file with the task's data: the first of task.files in the first of `folder`'s sub-folders
// task.folders, or in `folder` itself. Throws Error(kIo) where the folder is absent, Error(kConfig) where
// the data are.
[[nodiscard]] std::string task_file(const TaskSpec& task, const std::string& folder);

// The first `limit` documents (0: all) in file order. Files are JSON lines with the fields of the public data
// set, or the original ones: of piqa `valid.jsonl` beside `valid-labels.lst`, of wikitext and
// window_perplexity `test.txt`, of gsm8k `test.jsonl` beside `train.jsonl` (or `gsm8k_train.jsonl`), from
// which its examples are drawn unless task.shots is 0; one that is the question itself is left out.
// window_perplexity is one document at any limit, its page the whole text. Throws Error(kData) naming file,
// line and field where one is absent or mistyped or a text is not UTF-8, Error(kConfig) for a negative limit
// or where there is no document.
[[nodiscard]] std::vector<TaskDocument> read_task(const TaskSpec& task, const std::string& folder,
                                                  int64_t limit);

}  // namespace orthant::models
