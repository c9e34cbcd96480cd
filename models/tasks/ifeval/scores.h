// The four accuracies of IFEval.
//
// Prompt level: prompts of which all instructions are followed. Instruction level: instructions of all
// prompts that are followed. Instructions that are not checked (language:response_language) are in neither,
// and a prompt that has no other is not counted; a prompt with some is judged by the rest, so its accuracy
// can be higher than the reference's. Pure functions of the responses; thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/tasks/ifeval/documents.h"

namespace orthant::models {

// A value for each instruction of a document, in their order: 1 where it is followed, else 0.
struct IfevalVerdicts {
  std::vector<uint8_t> strict;
  std::vector<uint8_t> loose;
  int64_t unchecked_instructions = 0;

  [[nodiscard]] bool all_strict() const;
  [[nodiscard]] bool all_loose() const;
};

[[nodiscard]] IfevalVerdicts ifeval_verdicts(const IfevalDocument& document, std::string_view response);

// The accuracies and errors are NaN where they are of nothing: without instructions; the errors also of one
// prompt.
struct IfevalScores {
  double prompt_strict = 0.0;
  double instruction_strict = 0.0;
  double prompt_loose = 0.0;
  double instruction_loose = 0.0;

  // Standard errors over the P prompts. Of a prompt level p: sqrt(p (1 - p) / (P - 1)), the harness's. Of an
  // instruction level p, whose N instructions hang together within a prompt: sqrt(P / (P - 1) sum (followed -
  // p instructions)^2) / N, that of a ratio of means (Cochran, Sampling Techniques, 1977, section 2.11); the
  // harness has none.
  double prompt_strict_error = 0.0;
  double instruction_strict_error = 0.0;
  double prompt_loose_error = 0.0;
  double instruction_loose_error = 0.0;

  int64_t prompts = 0;                 // counted
  int64_t instructions = 0;            // counted
  int64_t unchecked_prompts = 0;       // without an instruction that is checked
  int64_t unchecked_instructions = 0;  // of all prompts
  std::vector<IfevalVerdicts> documents;
};

[[nodiscard]] IfevalScores ifeval_scores(std::vector<IfevalVerdicts> documents);

// A response for each document; throws Error(kInternal) otherwise.
[[nodiscard]] IfevalScores ifeval_scores(std::span<const IfevalDocument> documents,
                                         std::span<const std::string> responses);

}  // namespace orthant::models
