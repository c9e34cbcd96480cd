// WikiText perplexity as the harness measures it: pages, the text that the model reads of them, and windows
// that score every token once with a token of context before the first. Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orthant::models {

// The pages of an original WikiText file, which begin at headings of level one (" = Title = "): those of the
// document-level data set that the harness reads. Lines keep their white space and are joined by "\n".
[[nodiscard]] std::vector<std::string> wikitext_pages(std::string_view text);

// The page as running text, by the harness's rules and in their order. Words and bytes are those of the
// page before it.
[[nodiscard]] std::string wikitext_detokenize(std::string_view page);

// What the model reads, and how many of its last positions predict a scored token. Windows score the tokens
// one after another.
struct RollingWindow {
  std::vector<int32_t> input = {};
  int64_t scored = 0;
};

// Windows of at most `max_length` (>= 1) inputs over `tokens`, of which none are scored twice. The first
// token follows `prefix` (BOS, else EOS); every later window begins with tokens already scored, at least
// one, and the last with as many as fit. None where there are no tokens.
[[nodiscard]] std::vector<RollingWindow> rolling_windows(std::span<const int32_t> tokens, int32_t prefix,
                                                         int64_t max_length);

}  // namespace orthant::models
