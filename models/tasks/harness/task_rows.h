// Rows of the public data sets as documents of the tasks: the request strings of the harness. Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "models/formats/json_file.h"
#include "models/tasks/harness/task.h"

namespace orthant::models {

// One row, with the field names that the data set has on Hugging Face; a label may be a number or its
// digits. For gsm8k without the examples before its question. Throws Error(kData) naming the row and the
// field that is absent or not what it should be.
[[nodiscard]] TaskDocument document_of_row(const TaskSpec& task, const JsonFields& row);

// A page of WikiText.
[[nodiscard]] TaskDocument document_of_page(std::string_view page);

// The text of HellaSwag without its marks: stripped, " [title]" as a full stop, all other [..] gone, and
// then each two spaces as one, once.
[[nodiscard]] std::string hellaswag_clean(std::string_view text);

}  // namespace orthant::models
