// Whether a response follows an instruction of IFEval.
//
// Strictly: the response as it is. Loosely: any of eight variants, with and without the first line, the last
// line and the asterisks. A blank response, or variant, follows nothing. Ill-formed UTF-8 is replaced by
// U+FFFD first. Both throw Error(kConfig) for an id that has no check (kUncheckedInstruction among them) and
// Error(kData) for arguments that the check cannot use. Thread-safe.
#pragma once

#include <string_view>

#include "models/tasks/ifeval/instruction.h"

namespace orthant::models {

[[nodiscard]] bool follows(const Instruction& instruction, std::string_view response);
[[nodiscard]] bool follows_loosely(const Instruction& instruction, std::string_view response);

}  // namespace orthant::models
