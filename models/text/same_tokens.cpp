#include "models/text/same_tokens.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/core/error.h"

namespace orthant::models {
namespace {

std::string named(const TokenizedText& text, int64_t token) {
  if (token >= text.rows->tokens()) return "nothing";
  const int32_t id = text.rows->token_ids()[static_cast<size_t>(token)];
  if (text.tokenizer == nullptr) return fmt::format("token {}", id);
  int64_t replacements = 0;
  const std::string bytes = text.tokenizer->decode(std::vector<int32_t>{id});
  return fmt::format("token {} '{}'", id, replace_invalid_utf8(bytes, replacements));
}

// The first token that is not in both, or that begins a row in one alone; -1: none.
int64_t first_difference(const TokenRows& a, const TokenRows& b) {
  const auto ids_a = a.token_ids(), ids_b = b.token_ids();
  const auto at = std::mismatch(ids_a.begin(), ids_a.end(), ids_b.begin(), ids_b.end());
  int64_t first = at.first == ids_a.end() && at.second == ids_b.end() ? -1 : at.first - ids_a.begin();
  for (int64_t row = 0; row < std::min(a.rows(), b.rows()); ++row) {
    const int64_t end_a = a.first_token(row + 1), end_b = b.first_token(row + 1);
    if (end_a == end_b) continue;
    return first < 0 ? std::min(end_a, end_b) : std::min({first, end_a, end_b});
  }
  return first;
}

}  // namespace

void check_same_tokens(const TokenizedText& text, const TokenizedText& other) {
  const int64_t token = first_difference(*text.rows, *other.rows);
  if (token < 0) return;
  const TokenRows& longer = token < text.rows->tokens() ? *text.rows : *other.rows;
  const int64_t row = longer.row_of(token);
  throw Error(
      ExitCode::kConfig,
      {.problem = fmt::format("the models read the text as different tokens, first at position {} of row "
                              "{} (document {}): {} and {}",
                              token - longer.first_token(row), row, longer.document_of(token),
                              named(text, token), named(other, token)),
       .why = "what is compared token by token needs the same tokens",
       .suggestion = "Give models of one tokenizer, or one --tokenizer for both."});
}

std::vector<int64_t> row_blocks(const TokenRows& text, int64_t block_tokens) {
  std::vector<int64_t> blocks = {0};
  for (int64_t row = 0; row < text.rows(); ++row) {
    const int64_t tokens = text.first_token(row + 1) - text.first_token(blocks.back());
    if (tokens >= block_tokens || row + 1 == text.rows()) blocks.push_back(row + 1);
  }
  return blocks;
}

}  // namespace orthant::models
