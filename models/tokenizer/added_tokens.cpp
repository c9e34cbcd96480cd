#include "models/tokenizer/added_tokens.h"

#include <algorithm>

namespace orthant::models {
namespace {

bool is_ascii_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

AddedTokenMatch widened(const AddedToken& token, std::string_view text, size_t from, size_t begin) {
  AddedTokenMatch match{begin, begin + token.text.size(), token.id};
  while (token.strip_left && match.begin > from && is_ascii_space(text[match.begin - 1])) --match.begin;
  while (token.strip_right && match.end < text.size() && is_ascii_space(text[match.end])) ++match.end;
  return match;
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
