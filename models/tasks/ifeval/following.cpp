#include "models/tasks/ifeval/following.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "models/tasks/ifeval/check_table.h"
#include "models/tasks/ifeval/text_search.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

const Check& check_of(const Instruction& instruction) {
  const Check* check = find_check(instruction.id);
  if (check == nullptr) {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("the instruction {} cannot be checked", instruction.id),
                 .why = instruction.id == kUncheckedInstruction ? "it takes a detector of languages"
                                                                : "there is none of this name"});
  }
  if (const std::string fault = argument_fault(*check, instruction); !fault.empty()) {
    throw Error(
        ExitCode::kData,
        {.problem = fmt::format("the instruction {} cannot be checked", instruction.id), .why = fault});
  }
  return *check;
}

std::string well_formed(std::string_view response) {
  int64_t ignored = 0;
  return replace_invalid_utf8(response, ignored);
}

bool passes(const Check& check, const Instruction& instruction, const std::string& response) {
  return !is_blank(response) && check.follows(instruction, response);
}

std::string without_asterisks(std::string text) {
  std::erase(text, '*');
  return text;
}

// Stripped, as the reference strips variants that lack a line.
std::string some_lines(std::string_view text, bool first_dropped, bool last_dropped) {
  if (first_dropped) {
    const size_t end = text.find('\n');
    text = end == std::string_view::npos ? "" : text.substr(end + 1);
  }
  if (last_dropped) {
    const size_t end = text.rfind('\n');
    text = end == std::string_view::npos ? "" : text.substr(0, end);
  }
  return std::string(python_strip(text));
}

}  // namespace

bool follows(const Instruction& instruction, std::string_view response) {
  return passes(check_of(instruction), instruction, well_formed(response));
}

bool follows_loosely(const Instruction& instruction, std::string_view response) {
  const Check& check = check_of(instruction);
  const std::string whole = well_formed(response);
  const std::vector<std::string> variants = {whole, some_lines(whole, true, false),
                                             some_lines(whole, false, true), some_lines(whole, true, true)};
  return std::ranges::any_of(variants, [&](const std::string& variant) {
    return passes(check, instruction, variant) || passes(check, instruction, without_asterisks(variant));
  });
}

}  // namespace orthant::models
