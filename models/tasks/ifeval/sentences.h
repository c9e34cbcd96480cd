// How many sentences an English text has, by the rules of the sentence tokenizer that IFEval's reference uses
// (punkt: Kiss and Strunk, "Unsupervised multilingual sentence boundary detection", 2006, section 4, as
// NLTK 3.9 applies it).
//
// This is not the trained model, but its procedure over short lists of our own: abbreviations, words that
// open a sentence and common words. As with that model, every period before white space ends a sentence
// unless
//  - the word is a listed abbreviation or an ellipsis, and what follows is no capitalised opener;
//  - the word is a number or a single letter, and what follows is in lower case or a mark;
//  - the word is a single letter that begins a name.
// So "e.g.", "i.e." and "etc." end a sentence, the "1." of a list is one, and "?" and "!" always end one. It
// differs from the trained model on abbreviations, openers and names outside the lists, and has none of its
// collocations. Well-formed UTF-8. Thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

namespace orthant::models {

[[nodiscard]] int64_t count_sentences(std::string_view text);

}  // namespace orthant::models
