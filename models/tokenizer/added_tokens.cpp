#include "models/tokenizer/added_tokens.h"

#include <algorithm>

#include "models/tokenizer/utf8.h"

namespace orthant::models {
namespace {

size_t after_white_space(std::string_view text, size_t at) {
  while (at < text.size()) {
    const Utf8Step step = next_character(text.substr(at));
    if (!step.well_formed || !is_white_space(step.codepoint)) break;
    at += step.bytes;
  }
  return at;
}

size_t before_white_space(std::string_view text, size_t from, size_t at) {
  while (at > from) {
    size_t begin = at - 1;
    while (begin > from && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;  // to the first byte
    if (!is_white_space(next_character(text.substr(begin)).codepoint)) break;
    at = begin;
  }
  return at;
}

AddedTokenMatch widened(const AddedToken& token, std::string_view text, size_t from, size_t begin) {
  const size_t end = begin + token.text.size();
  return {.begin = token.strip_left ? before_white_space(text, from, begin) : begin,
          .end = token.strip_right ? after_white_space(text, end) : end,
          .id = token.id};
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& token) { return token.text.empty(); });
  std::ranges::stable_sort(tokens_, std::greater<>(), [](const AddedToken& t) { return t.text.size(); });
  for (size_t i = 0; i < tokens_.size(); ++i) {
    by_first_byte_[static_cast<uint8_t>(tokens_[i].text.front())].push_back(static_cast<int32_t>(i));
  }
}

std::optional<AddedTokenMatch> AddedTokens::next(std::string_view text, size_t from) const {
  if (tokens_.empty()) return std::nullopt;
  for (size_t at = from; at < text.size(); ++at) {
    for (const int32_t candidate : by_first_byte_[static_cast<uint8_t>(text[at])]) {
      const AddedToken& token = tokens_[candidate];
      if (text.substr(at).starts_with(token.text)) return widened(token, text, from, at);
    }
  }
  return std::nullopt;
}

std::optional<int32_t> AddedTokens::id_of(std::string_view text) const {
  const auto found = std::ranges::find(tokens_, text, &AddedToken::text);
  return found == tokens_.end() ? std::nullopt : std::optional(found->id);
}

}  // namespace orthant::models
