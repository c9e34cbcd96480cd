#include "models/tasks/ifeval/sentences.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "models/tasks/ifeval/sentence_words.h"
#include "models/tasks/ifeval/text_search.h"
#include "models/tokenizer/utf8.h"

namespace orthant::models {
namespace {

constexpr std::string_view kSentenceEnds = ".?!";
constexpr std::string_view kMarksAfterWords = ")\";}]*:@'({[!?";  // no word goes on over one
constexpr std::string_view kMarksInSentences = ";:,.!?";          // none of them begins a sentence
constexpr std::string_view kClosers = "\"')]}";

struct Range {
  size_t begin = 0;
  size_t end = 0;
};

// A mark that may end a sentence, with the word before it and what comes after it.
struct Candidate {
  size_t mark = 0;
  size_t word = 0;        // where the word before begins
  size_t after_end = 0;   // of the next word, or of the mark that follows at once
  size_t next_begin = 0;  // where the next sentence would begin
};

enum class NextWord { kOpensSentence, kContinues, kUnknown };

bool is_one_of(char c, std::string_view of) {
  return of.find(c) != std::string_view::npos;
}

std::string_view first_character(std::string_view text) {
  return text.substr(0, next_character(text).bytes);
}

// Where white space, or what is none, ends that begins at `at`.
size_t skip(std::string_view text, size_t at, bool spaces) {
  while (at < text.size()) {
    const Utf8Step step = next_character(text.substr(at));
    if (is_python_space(step.codepoint) != spaces) break;
    at += step.bytes;
  }
  return at;
}

// Words keep their periods, inner commas and hyphens; other marks are words of their own.
std::vector<std::string_view> words_of(std::string_view text) {
  static const Pattern word = [] {
    const std::string several = fmt::format(R"x((?:-{{2,}}|\.{{2,}}|(?:\.[{}]){{2,}}\.))x", kPythonSpace);
    const std::string end = fmt::format(R"x((?:[{}]|$|[)";}}\]*:@'({{\[!?]|{}))x", kPythonSpace, several);
    return Pattern(fmt::format(R"x({0}|(?![("`{{\[:;&#*@)}}\],-])[^{1}]+?(?={2}|,{2})|[^{1}])x", several,
                               kPythonSpace, end));
  }();
  return find_all(word, text);
}

bool is_initial(std::string_view word) {
  static const Pattern initial(R"(^\p{L}\.$)");
  return contains(initial, word);
}

bool is_number(std::string_view word) {
  static const Pattern number(R"(^-?[.,]?\d[\d,.-]*$)");
  return contains(number, word);
}

bool is_ellipsis(std::string_view word) {
  return word.size() > 1 && word.find_first_not_of('.') == std::string_view::npos;
}

bool is_known_abbreviation(std::string_view word) {
  const std::string type = lower(word.substr(0, word.size() - 1));
  return is_abbreviation(type) || is_abbreviation(std::string_view(type).substr(type.rfind('-') + 1));
}

// The orthographic heuristic (section 4.1.1) and that of frequent openers (4.1.3).
NextWord judge_next(std::string_view next) {
  if (next.size() == 1 && is_one_of(next.front(), kMarksInSentences)) return NextWord::kContinues;
  if (is_lower(first_character(next))) return NextWord::kContinues;
  if (is_upper(first_character(next)) && opens_sentences(lower(next))) return NextWord::kOpensSentence;
  return NextWord::kUnknown;
}

// Whether a sentence ends with `word`, which `next` follows.
bool ends_sentence(std::string_view word, std::string_view next) {
  if (word == "." || word == "?" || word == "!") return true;
  if (!word.ends_with('.')) return false;
  const NextWord judged = judge_next(next);
  if (is_ellipsis(word)) return judged == NextWord::kOpensSentence;
  if (word.ends_with("..")) return false;
  if (is_initial(word)) {
    if (is_known_abbreviation(word) || judged == NextWord::kContinues) return false;
    const bool begins_name = is_upper(first_character(next)) && !is_common_word(lower(next));
    return !begins_name;
  }
  if (is_known_abbreviation(word)) return judged == NextWord::kOpensSentence;
  return !is_number(word) || judged != NextWord::kContinues;
}

bool contains_end(std::string_view context) {
  const std::vector<std::string_view> words = words_of(context);
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (ends_sentence(words[i], words[i + 1])) return true;
  }
  return false;
}

// `candidate` with what follows its mark; false where nothing does that could begin a sentence.
bool find_what_follows(std::string_view text, Candidate& candidate) {
  const size_t after = candidate.mark + 1;
  if (after >= text.size()) return false;
  if (is_one_of(text[after], kMarksAfterWords)) {
    candidate.after_end = after + 1;
    candidate.next_begin = after;
    return true;
  }
  const size_t next = skip(text, after, true);
  if (next == after || next == text.size()) return false;
  candidate.after_end = skip(text, next, false);
  candidate.next_begin = next;
  return true;
}

std::vector<Candidate> candidates_of(std::string_view text) {
  std::vector<Candidate> candidates;
  Range last_word;  // the one before the last candidate
  for (size_t at = text.find_first_of(kSentenceEnds); at != std::string_view::npos;
       at = text.find_first_of(kSentenceEnds, at + 1)) {
    Candidate candidate{.mark = at};
    if (!find_what_follows(text, candidate)) continue;
    const size_t space = text.substr(last_word.end, at - last_word.end).find_last_of(" \t\n\r\v\f");
    const bool is_same_word = space == std::string_view::npos || space == 0;
    candidate.word = is_same_word ? last_word.begin : last_word.end + space + 1;
    // Of several marks of a word the last decides.
    if (!candidates.empty() && candidate.word < last_word.end) candidates.pop_back();
    candidates.push_back(candidate);
    last_word = {candidate.word, at};
  }
  return candidates;
}

std::vector<Range> ranges_of(std::string_view text) {
  std::vector<Range> ranges;
  size_t begin = 0;
  for (const Candidate& candidate : candidates_of(text)) {
    if (!contains_end(text.substr(candidate.word, candidate.after_end - candidate.word))) continue;
    ranges.push_back({begin, candidate.mark + 1});
    begin = candidate.next_begin;
  }
  const std::string_view body = python_strip(text);
  const auto end = static_cast<size_t>(body.data() + body.size() - text.data());
  ranges.push_back({begin, std::max(begin, end)});
  return ranges;
}

// Bytes of the closing quotes and brackets at the front of a sentence that belong to the one before, with the
// white space after them.
size_t closers_of(std::string_view sentence) {
  for (size_t closers = 0; closers < sentence.size() && is_one_of(sentence[closers], kClosers);) {
    ++closers;
    const size_t after = skip(sentence, closers, true);
    if (after > closers || after == sentence.size()) return after;
    if (sentence.substr(closers).starts_with("--")) return closers;
  }
  return 0;
}

}  // namespace

int64_t count_sentences(std::string_view text) {
  if (is_blank(text)) return 0;
  const std::vector<Range> ranges = ranges_of(text);
  int64_t sentences = 0;
  size_t moved = 0;  // bytes at the front that went to the sentence before
  for (size_t i = 0; i < ranges.size(); ++i) {
    const bool is_filled = ranges[i].begin + moved < ranges[i].end;
    moved = 0;
    if (i + 1 < ranges.size()) {
      const Range next = ranges[i + 1];
      moved = closers_of(text.substr(next.begin, next.end - next.begin));
    }
    if (is_filled || moved > 0) ++sentences;
  }
  return sentences;
}

}  // namespace orthant::models
