// The English words that decide where a period ends a sentence, in lower case. Thread-safe.
#pragma once

#include <string_view>

namespace orthant::models {

// Without the last period.
[[nodiscard]] bool is_abbreviation(std::string_view word);
// Capitalised after an abbreviation or an ellipsis, it begins a sentence.
[[nodiscard]] bool opens_sentences(std::string_view word);
// No part of a name: after a single letter with a period it begins a sentence where it is capitalised.
[[nodiscard]] bool is_common_word(std::string_view word);

}  // namespace orthant::models
