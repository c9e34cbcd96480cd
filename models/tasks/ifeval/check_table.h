// Which check an instruction of IFEval names, and what arguments it takes. Thread-safe.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "models/tasks/ifeval/instruction.h"

namespace orthant::models {

// Needs a detector of languages, which there is none of here: such instructions are left out of all scores.
inline constexpr std::string_view kUncheckedInstruction = "language:response_language";

enum class ArgumentKind {
  kNone,
  kCount,        // a positive whole number
  kRelation,     // kLessThan or kAtLeast
  kCharacter,    // a text of one character
  kText,         // not blank
  kExpression,   // a text that is a regular expression
  kExpressions,  // a list of at least one
};

struct Argument {
  std::string_view name;
  ArgumentKind kind = ArgumentKind::kNone;
};

struct Check {
  std::string_view id;
  bool (*follows)(const Instruction& instruction, const std::string& response);
  std::array<Argument, 3> arguments = {};  // all required
};

[[nodiscard]] std::span<const Check> checks();

// Null for an id that has no check.
[[nodiscard]] const Check* find_check(std::string_view id);

// The known id nearest to `id`, empty where none is near.
[[nodiscard]] std::string nearest_instruction(std::string_view id);

// What is wrong with the arguments that `check` gets, in words; empty where nothing is. The reference draws a
// missing number or relation, and one out of range, at random.
[[nodiscard]] std::string argument_fault(const Check& check, const Instruction& instruction);

}  // namespace orthant::models
