#include "models/tokenizer/hf_text_steps.h"

#include <fmt/format.h>

#include "runtime/core/error.h"

namespace orthant::models {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

[[noreturn]] void throw_unsupported(const std::string& path, std::string_view section,
                                    std::string_view what) {
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("the {} of {} has a step {}", section, path, what),
               .why = "those of GPT-2, Llama 2 and 3, Qwen 2 and SmolLM tokenizers are supported",
               .suggestion = "use a model with one of these tokenizers"});
}

// Calls `visit` with each step; a Sequence is a list of steps under `list_key`.
template <typename Visit>
void for_each_step(const boost::json::value& section, const std::string& path, std::string_view name,
                   std::string_view list_key, Visit visit) {
  const JsonFields step(section, path, name);
  if (step.text("type").value_or("") != "Sequence") return visit(step);
  for (const boost::json::value& inner : step.required_array(list_key)) {
    visit(JsonFields(inner, path, name));
  }
}

void add_normalizer(const JsonFields& step, const std::string& path, HfTextSteps& steps) {
  const std::string type = step.text("type").value_or("without a type");
  if (type == "NFC") return;
  if (type == "Prepend" && step.text("prepend") == kSpaceMark) {
    steps.prefix_space = PrefixSpace::kEveryStretch;
    return;
  }
  if (type == "Replace" && step.text("content") == kSpaceMark) {
    const JsonFields pattern(step.required("pattern"), path, "a pattern");
    if (pattern.text("String") != " ") throw_unsupported(path, "normalizer", "Replace of other than spaces");
    steps.marks_spaces = true;
    return;
  }
  throw_unsupported(path, "normalizer", type);
}

SplitKeeps kept_by(const JsonFields& step, const std::string& path) {
  const std::string behavior = step.text("behavior").value_or("");
  if (behavior == "Isolated") return SplitKeeps::kAll;
  if (behavior != "Removed") throw_unsupported(path, "pre_tokenizer", fmt::format("Split \"{}\"", behavior));
  return step.boolean("invert").value_or(false) ? SplitKeeps::kMatches : SplitKeeps::kBetween;
}

void add_split(const JsonFields& step, const std::string& path, HfTextSteps& steps) {
  const JsonFields pattern(step.required("pattern"), path, "a pattern");
  const auto expression = pattern.text("Regex");
  if (!expression) (void)pattern.required("String");
  steps.pre_tokenizer.add_split(expression ? *expression : Pattern::quote(*pattern.text("String")),
                                kept_by(step, path));
}

void add_byte_level(const JsonFields& step, HfTextSteps& steps) {
  steps.byte_level = true;
  if (step.boolean("add_prefix_space").value_or(true)) steps.pre_tokenizer.add_prefix_space();
  if (step.boolean("use_regex").value_or(true)) steps.pre_tokenizer.add_split(std::string(kGpt2Split));
}

void add_metaspace(const JsonFields& step, const std::string& path, HfTextSteps& steps) {
  if (step.text("replacement").value_or(std::string(kSpaceMark)) != kSpaceMark) {
    throw_unsupported(path, "pre_tokenizer", "Metaspace with another mark");
  }
  const bool older_prefix = step.boolean("add_prefix_space").value_or(true);
  const std::string scheme = step.text("prepend_scheme").value_or(older_prefix ? "always" : "never");
  steps.marks_spaces = true;
  steps.split_at_spaces = step.boolean("split").value_or(true);
  if (scheme == "never") return;
  if (scheme != "first" && scheme != "always")
    throw_unsupported(path, "pre_tokenizer", "Metaspace " + scheme);
  steps.prefix_space = scheme == "first" ? PrefixSpace::kTextOnly : PrefixSpace::kEveryStretch;
  steps.prefix_unless_present = true;
}

void add_pre_tokenizer(const JsonFields& step, const std::string& path, HfTextSteps& steps) {
  const std::string type = step.text("type").value_or("without a type");
  if (steps.byte_level) throw_unsupported(path, "pre_tokenizer", type + " after ByteLevel");
  if (type == "Split") return add_split(step, path, steps);
  if (type == "ByteLevel") return add_byte_level(step, steps);
  if (type == "Metaspace") return add_metaspace(step, path, steps);
  if (type != "Digits") throw_unsupported(path, "pre_tokenizer", type);
  const bool individual = step.boolean("individual_digits").value_or(false);
  steps.pre_tokenizer.add_split(individual ? R"(\p{N})" : R"(\p{N}+)");
}

bool strips_leading_space(const JsonFields& decoder) {
  const std::string type = decoder.text("type").value_or("");
  if (type == "Strip") return decoder.integer("start").value_or(0) > 0;
  if (type != "Metaspace") return false;
  const std::string older = decoder.boolean("add_prefix_space").value_or(true) ? "always" : "never";
  return decoder.text("prepend_scheme").value_or(older) != "never";
}

}  // namespace

HfTextSteps read_hf_text_steps(const JsonFields& tokenizer, const std::string& path) {
  HfTextSteps steps;
  if (const auto* normalizer = tokenizer.find("normalizer")) {
    for_each_step(*normalizer, path, "normalizer", "normalizers",
                  [&](const JsonFields& step) { add_normalizer(step, path, steps); });
  }
  if (const auto* pre_tokenizer = tokenizer.find("pre_tokenizer")) {
    for_each_step(*pre_tokenizer, path, "pre_tokenizer", "pretokenizers",
                  [&](const JsonFields& step) { add_pre_tokenizer(step, path, steps); });
  }
  if (const auto* decoder = tokenizer.find("decoder")) {
    for_each_step(*decoder, path, "decoder", "decoders",
                  [&](const JsonFields& step) { steps.strips_leading_space |= strips_leading_space(step); });
  }
  if (steps.byte_level == steps.marks_spaces) {
    throw_unsupported(path, "pre_tokenizer", "that is neither byte-level nor marks spaces");
  }
  return steps;
}

}  // namespace orthant::models
