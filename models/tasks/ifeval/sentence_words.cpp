#include "models/tasks/ifeval/sentence_words.h"

#include <algorithm>
#include <array>

namespace orthant::models {
namespace {

// Titles, firms, months and days, states, units, countries and initials that are written together.
constexpr auto kAbbreviations = std::to_array<std::string_view>({
    "mr",   "mrs",  "ms",    "messrs", "dr",   "prof",  "st",   "jr",   "sr",   "gen",     "col",
    "maj",  "lt",   "adm",   "sen",    "rep",  "reps",  "ave",  "inc",  "ltd",  "co",      "corp",
    "cos",  "bros", "cie",   "vs",     "yr",   "ft",    "mg",   "jan",  "feb",  "aug",     "sep",
    "sept", "oct",  "nov",   "dec",    "tues", "wed",   "fri",  "ala",  "ariz", "calif",   "colo",
    "conn", "fla",  "ga",    "ill",    "kan",  "ky",    "mich", "minn", "nev",  "okla",    "ore",
    "pa",   "tenn", "va",    "vt",     "wash", "wis",   "w.va", "ct",   "sw",   "ok",      "a.m",
    "p.m",  "u.s",  "u.s.a", "u.k",    "u.n",  "d.c",   "n.y",  "n.j",  "n.c",  "n.d",     "n.h",
    "n.m",  "n.v",  "s.c",   "l.a",    "ph.d", "m.b.a", "a.c",  "a.d",  "c.v",  "u.s.s.r", "a.g",
    "a.h",  "a.s",  "s.a",   "s.p.a",  "b.f",  "j.b",   "j.c",  "j.j",  "j.k",  "j.p",     "j.r",
    "h.c",  "h.f",  "h.m",   "w.c",    "w.r",  "w.w",   "c",    "d",    "e",    "f",       "g",
    "h",    "k",    "l",     "m",      "n",    "p",     "r",    "s",    "t",    "v",       "w",
});

constexpr auto kOpeners = std::to_array<std::string_view>({
    "the",       "it",          "he",         "they",         "this",     "these",        "there",
    "i",         "in",          "if",         "when",         "while",    "but",          "yet",
    "so",        "since",       "some",       "many",         "most",     "both",         "among",
    "even",      "under",       "although",   "though",       "thus",     "despite",      "according",
    "however",   "meanwhile",   "moreover",   "instead",      "indeed",   "nevertheless", "nonetheless",
    "nor",       "similarly",   "separately", "here",         "her",      "your",         "please",
    "try",       "remember",    "finally",    "overall",      "such",     "through",      "between",
    "were",      "always",      "already",    "almost",       "anyway",   "besides",      "being",
    "certainly", "consider",    "create",     "does",         "either",   "enjoy",        "explain",
    "follow",    "furthermore", "hence",      "likewise",     "nothing",  "otherwise",    "regardless",
    "simply",    "sometimes",   "soon",       "specifically", "still",    "surely",       "thank",
    "thanks",    "therefore",   "think",      "together",     "tomorrow", "typically",    "ultimately",
    "using",     "very",        "welcome",    "whenever",     "whether",  "which",        "within",
    "without",   "yes",         "yesterday",  "given",        "someone",  "anyone",
});

constexpr auto kCommonWords = std::to_array<std::string_view>({
    "a",      "an",    "and",     "or",     "not",     "no",      "of",       "on",      "at",     "to",
    "by",     "as",    "for",     "from",   "with",    "without", "into",     "over",    "after",  "before",
    "during", "until", "because", "that",   "those",   "his",     "its",      "their",   "our",    "my",
    "we",     "you",   "she",     "what",   "who",     "why",     "how",      "where",   "then",   "than",
    "also",   "just",  "only",    "other",  "another", "each",    "every",    "all",     "any",    "one",
    "two",    "three", "first",   "second", "next",    "last",    "new",      "old",     "good",   "great",
    "best",   "more",  "less",    "much",   "few",     "several", "is",       "are",     "was",    "be",
    "been",   "has",   "have",    "had",    "do",      "did",     "can",      "could",   "should", "would",
    "will",   "may",   "might",   "must",   "let",     "make",    "made",     "use",     "take",   "get",
    "give",   "go",    "come",    "see",    "look",    "know",    "find",     "keep",    "put",    "say",
    "tell",   "ask",   "write",   "read",   "add",     "answer",  "question", "day",     "time",   "people",
    "life",   "world", "now",     "today",  "once",    "often",   "never",    "perhaps", "maybe",  "well",
    "too",    "above", "below",   "about",  "up",      "down",    "out",      "off",     "again",  "like",
    "want",   "need",
});

template <typename Words>
bool is_listed(const Words& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

}  // namespace

bool is_abbreviation(std::string_view word) {
  return is_listed(kAbbreviations, word);
}
bool opens_sentences(std::string_view word) {
  return is_listed(kOpeners, word);
}
bool is_common_word(std::string_view word) {
  return is_listed(kCommonWords, word) || opens_sentences(word);
}

}  // namespace orthant::models
