#include "models/tasks/ifeval/treebank_words.h"

#include <fmt/format.h>

#include <array>

#include "models/tasks/ifeval/text_search.h"

namespace orthant::models {
namespace {

constexpr size_t kWholeMatch = std::string::npos;

// White space is put before a match, behind its first `first` bytes and after it.
struct Cut {
  Pattern pattern;
  size_t first = kWholeMatch;
  bool is_open_before = false;  // none before
  bool is_open_behind = false;  // none after
};

std::string cut(const Cut& rule, std::string_view text) {
  std::string result;
  size_t from = 0;
  rule.pattern.for_each_match(text, [&](size_t begin, size_t end) {
    const std::string_view match = text.substr(begin, end - begin);
    result += text.substr(from, begin - from);
    if (!rule.is_open_before) result += ' ';
    result += match.substr(0, rule.first);
    if (rule.first < match.size()) result.append(" ").append(match.substr(rule.first));
    if (!rule.is_open_behind) result += ' ';
    from = end;
  });
  result += text.substr(from);
  return result;
}

Cut pad(const char* expression) {
  return {.pattern = Pattern(expression)};
}
Cut before(const char* expression) {
  return {.pattern = Pattern(expression), .is_open_behind = true};
}
Cut behind(const char* expression) {
  return {.pattern = Pattern(expression), .is_open_before = true};
}
Cut apart(const char* expression, size_t first) {
  return {.pattern = Pattern(expression), .first = first};
}

// In their order: each sees the white space of those before it.
const auto& cuts() {
  static const std::array kCuts = {
      pad("[«“‘„]|`+"),
      behind(R"((?i)'(?!re|ve|ll|m|t|s|d|n)(?=[\p{L}\p{N}_](?![\p{L}\p{N}_])))"),
      pad(R"([:,](?=\D|$))"),
      pad(R"(\.{2,})"),
      pad(R"([;@#$%&?!*\]\[(){}<>])"),
      before(R"((?<=[^'])'(?= ))"),
      pad("--"),
      pad(R"([»”’"]|'')"),
      before(R"((?<=[^'\s])'[sSmMdD]?(?=\s|$))"),
      before(R"((?<=[^'\s])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T)(?=\s|$))"),
      apart(R"((?i)\bcannot\b)", 3),
      apart(R"((?i)\bd'ye\b)", 1),
      apart(R"((?i)\bgimme\b)", 3),
      apart(R"((?i)\bgonna\b)", 3),
      apart(R"((?i)\bgotta\b)", 3),
      apart(R"((?i)\blemme\b)", 3),
      apart(R"((?i)\bmore'n\b)", 4),
      apart(R"((?i)\bwanna(?=\s))", 3),
      apart(R"((?i)(?<=\s)'tis\b)", 2),
      apart(R"((?i)(?<=\s)'twas\b)", 2),
  };
  return kCuts;
}

}  // namespace

std::vector<std::string> treebank_words(std::string_view text) {
  static const Pattern word(fmt::format("[^{}]+", kPythonSpace));
  std::string spaced = fmt::format(" {} ", text);
  for (const Cut& rule : cuts()) spaced = cut(rule, spaced);
  const std::vector<std::string_view> words = find_all(word, spaced);
  return {words.begin(), words.end()};
}

}  // namespace orthant::models
