// What a generation of a task says, as the harness reads it where it continues one prompt at a time.
// Thread-safe.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/tasks/harness/task.h"
#include "models/tokenizer/tokenizer.h"

namespace orthant::models {

// What stands before the stop strings, looked for one after another in what the others left.
[[nodiscard]] std::string_view text_before_stops(std::string_view text, std::span<const std::string> stops);

// The texts at which a generation ends: the task's, and that of the tokenizer's end of text.
[[nodiscard]] std::vector<std::string> stop_texts(const TaskSpec& task, const Tokenizer& tokenizer);

// Whether one of them is in what is said, special tokens included.
[[nodiscard]] bool has_stop(std::span<const std::string> stops, const Tokenizer& tokenizer,
                            std::span<const int32_t> ids);

// What is said before the first of them, without special tokens.
[[nodiscard]] std::string response_text(std::span<const std::string> stops, const Tokenizer& tokenizer,
                                        std::span<const int32_t> ids);

}  // namespace orthant::models
