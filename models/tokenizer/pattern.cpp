#include "models/tokenizer/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <array>

#include "runtime/core/error.h"

namespace orthant::models {
namespace {

// PCRE2's own \s has one character more (U+180E).
constexpr std::string_view kWhiteSpace =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

std::string error_text(int code) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

std::string with_unicode_white_space(std::string_view expression) {
  std::string result;
  bool in_class = false;
  for (size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    if (c == '\\' && i + 1 < expression.size()) {
      const char escaped = expression[++i];
      if (escaped == 's') {
        result += in_class ? std::string(kWhiteSpace) : fmt::format("[{}]", kWhiteSpace);
      } else if (escaped == 'S' && !in_class) {
        result += fmt::format("[^{}]", kWhiteSpace);
      } else {
        result += {c, escaped};
      }
      continue;
    }
    if (c == '[') in_class = true;
    if (c == ']') in_class = false;
    result += c;
  }
  return result;
}

struct FreeMatch {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

}  // namespace

struct Pattern::Code {
  pcre2_code* compiled = nullptr;
  std::string expression;
  ~Code() { pcre2_code_free(compiled); }
};

Pattern::Pattern(const std::string& expression) : code_(std::make_unique<Code>()) {
  const std::string translated = with_unicode_white_space(expression);
  int error = 0;
  size_t offset = 0;
  code_->expression = expression;
  code_->compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                  PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (code_->compiled == nullptr) {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("the tokenizer's expression {} cannot be used", expression),
                 .why = fmt::format("{} at character {} of {}", error_text(error), offset, translated),
                 .suggestion = "check the tokenizer file"});
  }
  pcre2_jit_compile(code_->compiled, PCRE2_JIT_COMPLETE);  // without it, matching is only slower
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;

void Pattern::for_each_match(std::string_view text,
                             const std::function<void(size_t begin, size_t end)>& visit) const {
  const std::unique_ptr<pcre2_match_data, FreeMatch> match(
      pcre2_match_data_create_from_pattern(code_->compiled, nullptr));
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const size_t* ends = pcre2_get_ovector_pointer(match.get());
  size_t from = 0;
  while (from < text.size()) {
    const uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
    int found = pcre2_match(code_->compiled, subject, text.size(), from, options, match.get(), nullptr);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {  // the interpreter keeps its stack on the heap
      found = pcre2_match(code_->compiled, subject, text.size(), from, options | PCRE2_NO_JIT, match.get(),
                          nullptr);
    }
    if (found == PCRE2_ERROR_NOMATCH) return;
    if (found < 0) {
      throw Error(ExitCode::kData, {.problem = fmt::format("the tokenizer's expression {} failed on the text",
                                                           code_->expression),
                                    .why = fmt::format("{} near byte {}", error_text(found), from),
                                    .suggestion = "split the text into shorter documents"});
    }
    visit(ends[0], ends[1]);
    from = ends[1];
  }
}

std::string Pattern::quote(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool ascii_punctuation =
        (c > ' ' && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || (c > 'z' && c <= '~');
    if (ascii_punctuation) result += '\\';
    result += c;
  }
  return result;
}

}  // namespace orthant::models
