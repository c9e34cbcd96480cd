#include "models/tasks/ifeval/check_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <vector>

#include "models/tasks/ifeval/checks.h"
#include "models/tasks/ifeval/text_search.h"
#include "models/tokenizer/utf8.h"
#include "runtime/core/error.h"
#include "runtime/job/nearest_name.h"

namespace orthant::models {
namespace {

using enum ArgumentKind;

constexpr auto kChecks = std::to_array<Check>({
    {"keywords:existence", has_keywords, {{{"keywords", kExpressions}}}},
    {"keywords:frequency",
     has_keyword_frequency,
     {{{"keyword", kExpression}, {"frequency", kCount}, {"relation", kRelation}}}},
    {"keywords:forbidden_words", lacks_forbidden_words, {{{"forbidden_words", kExpressions}}}},
    {"keywords:letter_frequency",
     has_letter_frequency,
     {{{"letter", kCharacter}, {"let_frequency", kCount}, {"let_relation", kRelation}}}},
    {"length_constraints:number_sentences",
     has_number_of_sentences,
     {{{"num_sentences", kCount}, {"relation", kRelation}}}},
    {"length_constraints:number_paragraphs", has_number_of_paragraphs, {{{"num_paragraphs", kCount}}}},
    {"length_constraints:number_words",
     has_number_of_words,
     {{{"num_words", kCount}, {"relation", kRelation}}}},
    {"length_constraints:nth_paragraph_first_word",
     has_first_word_of_paragraph,
     {{{"num_paragraphs", kCount}, {"nth_paragraph", kCount}, {"first_word", kText}}}},
    {"detectable_content:number_placeholders", has_placeholders, {{{"num_placeholders", kCount}}}},
    {"detectable_content:postscript", has_postscript, {{{"postscript_marker", kExpression}}}},
    {"detectable_format:number_bullet_lists", has_bullet_lists, {{{"num_bullets", kCount}}}},
    {"detectable_format:constrained_response", is_constrained_response},
    {"detectable_format:number_highlighted_sections",
     has_highlighted_sections,
     {{{"num_highlights", kCount}}}},
    {"detectable_format:multiple_sections",
     has_sections,
     {{{"section_spliter", kExpression}, {"num_sections", kCount}}}},
    {"detectable_format:json_format", is_json},
    {"detectable_format:title", has_title},
    {"combination:two_responses", has_two_responses},
    {"combination:repeat_prompt", repeats_prompt, {{{"prompt_to_repeat", kText}}}},
    {"startend:end_checker", has_end_phrase, {{{"end_phrase", kText}}}},
    {"startend:quotation", is_quoted},
    {"change_case:capital_word_frequency",
     has_capital_word_frequency,
     {{{"capital_frequency", kCount}, {"capital_relation", kRelation}}}},
    {"change_case:english_capital", is_in_capitals},
    {"change_case:english_lowercase", is_in_lower_case},
    {"punctuation:no_comma", lacks_commas},
});

bool is_positive_count(const boost::json::value& value) {
  boost::system::error_code inexact;
  return value.is_number() && value.to_number<int64_t>(inexact) > 0 && !inexact;
}

// Empty where the text is an expression.
std::string expression_fault(const boost::json::value& value) {
  if (!value.is_string() || is_blank(value.get_string())) return "is no text";
  try {
    static_cast<void>(Pattern(std::string(python_strip(value.get_string()))));
  } catch (const Error&) {
    return "is no regular expression";
  }
  return {};
}

std::string expressions_fault(const boost::json::value& value) {
  if (!value.is_array()) return "is no list of texts";
  for (const boost::json::value& text : value.get_array()) {
    if (const std::string fault = expression_fault(text); !fault.empty()) {
      return "has an element that " + fault;
    }
  }
  return {};
}

std::string kind_fault(ArgumentKind kind, const boost::json::value& value) {
  const bool is_text = value.is_string() && !is_blank(value.get_string());
  switch (kind) {
    case kNone:
      return {};
    case kCount:
      return is_positive_count(value) ? "" : "is no positive whole number";
    case kRelation: {
      const bool is_known = is_text && (value.get_string() == kLessThan || value.get_string() == kAtLeast);
      return is_known ? "" : fmt::format("is neither \"{}\" nor \"{}\"", kLessThan, kAtLeast);
    }
    case kCharacter: {
      const bool is_single = is_text && next_character(value.get_string()).bytes == value.get_string().size();
      return is_single ? "" : "is no single character";
    }
    case kText:
      return is_text ? "" : "is no text";
    case kExpression:
      return expression_fault(value);
    case kExpressions:
      return expressions_fault(value);
  }
  return {};
}

std::string unknown_argument(const Check& check, const Instruction& instruction) {
  std::vector<std::string> names;
  for (const Argument& argument : check.arguments) {
    if (argument.kind != kNone) names.emplace_back(argument.name);
  }
  for (const auto& given : instruction.arguments) {
    if (std::ranges::find(names, given.key()) != names.end()) continue;
    const std::string nearest = nearest_name(given.key(), names);
    return fmt::format("there is no argument \"{}\"{}", std::string_view(given.key()),
                       nearest.empty() ? "" : fmt::format("; perhaps \"{}\" is meant", nearest));
  }
  return {};
}

}  // namespace

std::span<const Check> checks() {
  return kChecks;
}

const Check* find_check(std::string_view id) {
  const auto* const found = std::ranges::find(kChecks, id, &Check::id);
  return found == kChecks.end() ? nullptr : found;
}

std::string nearest_instruction(std::string_view id) {
  std::vector<std::string> ids = {std::string(kUncheckedInstruction)};
  for (const Check& check : kChecks) ids.emplace_back(check.id);
  return nearest_name(id, ids);
}

std::string argument_fault(const Check& check, const Instruction& instruction) {
  if (std::string fault = unknown_argument(check, instruction); !fault.empty()) return fault;
  for (const Argument& argument : check.arguments) {
    if (argument.kind == kNone) continue;
    const boost::json::value* value = instruction.arguments.if_contains(argument.name);
    if (value == nullptr) return fmt::format("the argument \"{}\" is missing", argument.name);
    const std::string fault = kind_fault(argument.kind, *value);
    if (!fault.empty()) return fmt::format("the argument \"{}\" {}", argument.name, fault);
  }
  if (check.follows == has_first_word_of_paragraph &&
      count_argument(instruction, "nth_paragraph") > count_argument(instruction, "num_paragraphs")) {
    return "the argument \"nth_paragraph\" is greater than \"num_paragraphs\"";
  }
  return {};
}

}  // namespace orthant::models
