// GSM8K as the harness poses and marks it: few-shot prompts, two ways to find the answer in a response, and
// the comparison with the reference. Texts are well-formed UTF-8. Thread-safe.
//
// The examples before a question are those of a harness run over all questions from the first in one process
// with its default few-shot seed: five draws by random.Random(1234).sample from the train split for each
// question, one after another. The draws agree with CPython 3.11; that the harness draws so is read from its
// source, not compared with a run of it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orthant::models {

struct Gsm8kProblem {
  std::string question;
  std::string answer;  // worked out, with "#### NUMBER" at its end
};

// A problem with its answer, as it stands before a question.
[[nodiscard]] std::string gsm8k_example(const Gsm8kProblem& problem);

// "Question: ...\nAnswer:", after the examples.
[[nodiscard]] std::string gsm8k_prompt(std::span<const Gsm8kProblem> examples, std::string_view question);

// Which of `train` problems stand before each of `questions` questions, [questions][shots]. Throws
// Error(kConfig) where there are fewer than `shots`.
[[nodiscard]] std::vector<std::vector<int64_t>> gsm8k_shots(int64_t train, int64_t questions, int64_t shots);

struct Gsm8kMatch {
  bool strict = false;    // the first number after "#### "
  bool flexible = false;  // the last that looks like a number
};

// `response` ends before the first stop string (response.h).
[[nodiscard]] Gsm8kMatch gsm8k_matches(std::string_view response, std::string_view answer);

}  // namespace orthant::models
