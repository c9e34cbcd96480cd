// Whether two language models read a text as the same tokens: what comparing them token by token asks for.
// Pure; thread-safe.
#pragma once

#include "models/text/token_rows.h"

namespace orthant::models {

// A text as rows for one model, and the tokenizer that made them (null where the text is ids already).
struct TokenizedText {
  const TokenRows* rows = nullptr;
  const Tokenizer* tokenizer = nullptr;
};

// Throws Error(kConfig) that names the first position where the two differ, with the tokens there.
void check_same_tokens(const TokenizedText& text, const TokenizedText& other);

// The first rows of a text that together have about `block_tokens` tokens, then the next, ...: row numbers
// [blocks + 1], ascending. No row is cut.
[[nodiscard]] std::vector<int64_t> row_blocks(const TokenRows& text, int64_t block_tokens);

}  // namespace orthant::models
