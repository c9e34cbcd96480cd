// The prompts of IFEval, from the JSON lines of its publication: key, prompt, instruction_id_list and kwargs,
// an object of arguments for each instruction.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/tasks/ifeval/instruction.h"

namespace orthant::models {

struct IfevalDocument {
  int64_t key = 0;
  std::string prompt;
  std::vector<Instruction> instructions;  // without those that are not checked
  int64_t unchecked_instructions = 0;     // of language:response_language
};

// The first `limit` documents of the file, 0: all. Arguments that Python holds for false (null, false, 0,
// empty) are dropped, as the reference drops them. Throws Error(kIo) where the file cannot be read and
// Error(kData), with the number of the line, where a field is missing or of another type, an instruction is
// unknown (the nearest name is suggested) or an argument is missing, unknown or out of range; Error(kData)
// also for a file without documents.
[[nodiscard]] std::vector<IfevalDocument> read_ifeval(const std::string& path, int64_t limit);

}  // namespace orthant::models
