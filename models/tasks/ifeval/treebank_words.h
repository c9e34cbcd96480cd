// The words of an English text as the Penn Treebank splits them, with the additions of NLTK 3.9's
// word_tokenize.
//
// Marks and brackets are words of their own, contractions are taken apart ("DON'T" is DO and N'T), hyphens
// stay. A period at the end of a sentence stays with its word, which NLTK takes off: no matter for the case
// of the word. Well-formed UTF-8. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orthant::models {

[[nodiscard]] std::vector<std::string> treebank_words(std::string_view text);

}  // namespace orthant::models
