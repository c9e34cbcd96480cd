// The checks of IFEval, a function each, by the rules of instruction_following_eval as lm-evaluation-harness
// 0.4.9 carries them.
//
// `response` is well-formed UTF-8 and has something else than white space; the arguments of `instruction` are
// not at fault (argument_fault() of check_table.h). Keywords, section marks and postscript marks are regular
// expressions, because the reference uses them so. Pure; thread-safe.
#pragma once

#include <string>

#include "models/tasks/ifeval/instruction.h"

namespace orthant::models {

// keywords.cpp. Whatever the case.
bool has_keywords(const Instruction& instruction, const std::string& response);
bool has_keyword_frequency(const Instruction& instruction, const std::string& response);
bool lacks_forbidden_words(const Instruction& instruction, const std::string& response);
// The letter or other character of the argument, in the response in lower case. The reference draws a letter
// at random where the character is none of a to z; two prompts of the published data ask for "#" and "!".
bool has_letter_frequency(const Instruction& instruction, const std::string& response);

// length.cpp
bool has_number_of_sentences(const Instruction& instruction, const std::string& response);
bool has_number_of_paragraphs(const Instruction& instruction, const std::string& response);
bool has_number_of_words(const Instruction& instruction, const std::string& response);
bool has_first_word_of_paragraph(const Instruction& instruction, const std::string& response);

// content.cpp
bool has_placeholders(const Instruction& instruction, const std::string& response);
bool has_postscript(const Instruction& instruction, const std::string& response);

// format.cpp
bool has_bullet_lists(const Instruction& instruction, const std::string& response);
bool is_constrained_response(const Instruction& instruction, const std::string& response);
bool has_highlighted_sections(const Instruction& instruction, const std::string& response);
bool has_sections(const Instruction& instruction, const std::string& response);
// Strict JSON inside an optional fence of back-ticks. Python also takes NaN, Infinity, -Infinity and escapes
// of single surrogates, which no JSON has; here such a response does not follow.
bool is_json(const Instruction& instruction, const std::string& response);
bool has_title(const Instruction& instruction, const std::string& response);

// combination.cpp
bool has_two_responses(const Instruction& instruction, const std::string& response);
bool repeats_prompt(const Instruction& instruction, const std::string& response);

// start_end.cpp
bool has_end_phrase(const Instruction& instruction, const std::string& response);
bool is_quoted(const Instruction& instruction, const std::string& response);

// letter_case.cpp. The reference also asks a language detector whether the response is English; here only the
// case counts.
bool has_capital_word_frequency(const Instruction& instruction, const std::string& response);
bool is_in_capitals(const Instruction& instruction, const std::string& response);
bool is_in_lower_case(const Instruction& instruction, const std::string& response);

// punctuation.cpp
bool lacks_commas(const Instruction& instruction, const std::string& response);

}  // namespace orthant::models
