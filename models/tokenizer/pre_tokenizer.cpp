#include "models/tokenizer/pre_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "runtime/core/error.h"

namespace orthant::models {

void PreTokenizer::add_split(const std::string& expression, SplitKeeps keeps) {
  Step step{{}, keeps};
  step.pattern.emplace_back(expression);
  steps_.push_back(std::move(step));
}

void PreTokenizer::add_prefix_space() {
  steps_.push_back({{}, SplitKeeps::kAll});
}

void PreTokenizer::for_each_piece(std::string_view text,
                                  const std::function<void(std::string_view)>& visit) const {
  run(0, text, visit);
}

void PreTokenizer::run(size_t step, std::string_view text,
                       const std::function<void(std::string_view)>& visit) const {
  if (text.empty()) return;
  if (step == steps_.size()) return visit(text);
  const Step& current = steps_[step];
  if (current.pattern.empty()) {
    if (text.front() == ' ') return run(step + 1, text, visit);
    std::string prefixed(1, ' ');
    prefixed += text;
    return run(step + 1, prefixed, visit);
  }
  size_t done = 0;
  current.pattern.front().for_each_match(text, [&](size_t begin, size_t end) {
    if (current.keeps != SplitKeeps::kMatches) run(step + 1, text.substr(done, begin - done), visit);
    if (current.keeps != SplitKeeps::kBetween) run(step + 1, text.substr(begin, end - begin), visit);
    done = end;
  });
  if (current.keeps != SplitKeeps::kMatches) run(step + 1, text.substr(done), visit);
}

PreTokenizer pre_tokenizer_from_gguf_name(std::string_view name, const std::string& path) {
  const auto is_one_of = [name](auto... names) { return ((name == names) || ...); };
  PreTokenizer result;
  if (is_one_of("smollm", "starcoder", "refact", "command-r")) {
    result.add_split(R"(\p{N})");
    result.add_split(std::string(kGpt2Split));
  } else if (is_one_of("llama-bpe", "llama3", "llama-v3")) {
    result.add_split(std::string(kLlama3Split));
  } else if (is_one_of("qwen2", "deepseek-r1-qwen")) {
    result.add_split(std::string(kQwen2Split));
  } else if (is_one_of("gpt-2", "phi-2", "default")) {
    result.add_split(std::string(kGpt2Split));
  } else {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("{} asks for the pre-tokenizer \"{}\"", path, name),
                 .why = "smollm, llama-bpe, qwen2 and gpt-2 are supported",
                 .suggestion = "give the model's tokenizer.json instead"});
  }
  return result;
}

}  // namespace orthant::models
