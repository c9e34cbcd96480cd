// Rows of token ids for a language model, cut from documents.
//
// A document is cut into rows of at most `context` tokens; the last row of a document may be short and
// nothing is packed unless asked. Where a BOS is wanted every row begins with it. A .npy of int32 [rows,
// context] is used as it is, one document a row. Rows lie in document and position order. Immutable but for
// append(); thread-safe.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "models/text/documents.h"
#include "models/tokenizer/tokenizer.h"

namespace orthant::models {

struct RowOptions {
  int64_t context = 512;  // longest row, BOS included
  int64_t tokens = 0;     // first so many tokens; 0: all
  bool bos = false;       // a model whose metadata asks for a BOS gets it in any case
  bool pack = false;      // documents end to end with the model's separator (EOS, else BOS) after each
};

class TokenRows {
 public:
  // `tokenizer` may be null for .npy only. Reads no further than `options.tokens` needs. Throws
  // Error(kConfig) when a BOS or separator is wanted that the tokenizer lacks, and what visit_documents()
  // throws.
  TokenRows(const TextSource& source, const RowOptions& options, const Tokenizer* tokenizer);
  // One document and one row a sequence; none is empty.
  explicit TokenRows(std::span<const std::vector<int32_t>> sequences);
  // The rows and documents of `more` behind these.
  void append(const TokenRows& more);

  [[nodiscard]] int64_t rows() const { return static_cast<int64_t>(row_offsets_.size()) - 1; }
  [[nodiscard]] int64_t tokens() const { return static_cast<int64_t>(token_ids_.size()); }
  [[nodiscard]] int64_t longest_row() const { return longest_row_; }
  // Of the documents that the rows come from; an empty document is one without tokens. Ill-formed UTF-8 is
  // counted over all that was read.
  [[nodiscard]] const TextCounts& counts() const { return counts_; }
  // Row r is tokens [first_token(r), first_token(r + 1)).
  [[nodiscard]] int64_t first_token(int64_t row) const { return row_offsets_[static_cast<size_t>(row)]; }
  [[nodiscard]] std::span<const int32_t> token_ids() const { return token_ids_; }
  [[nodiscard]] std::span<const int32_t> row(int64_t index) const {
    return token_ids().subspan(static_cast<size_t>(first_token(index)),
                               static_cast<size_t>(first_token(index + 1) - first_token(index)));
  }
  // The row that holds a token.
  [[nodiscard]] int64_t row_of(int64_t token) const;
  // The document that a token comes from.
  [[nodiscard]] int64_t document_of(int64_t token) const;
  // XXH3-128 of all tokens, rows and documents.
  [[nodiscard]] std::string identity() const;

 private:
  void read_npy(const std::string& path, const RowOptions& options);
  void read_text(const TextSource& source, const RowOptions& options, const Tokenizer& tokenizer);
  void append_document(std::span<const int32_t> ids, const RowOptions& options, std::optional<int32_t> bos);
  void finish_row();
  void truncate(int64_t tokens);

  std::vector<int32_t> token_ids_;
  std::vector<int64_t> row_offsets_ = {0};       // [rows + 1]
  std::vector<int64_t> document_offsets_ = {0};  // [documents + 1] first token of each document
  int64_t longest_row_ = 0;
  TextCounts counts_;
};

// Throws Error(kData) where the text at `path` gave no token, Error(kConfig) where a row is longer than the
// model's context.
void check_rows(const TokenRows& rows, const std::string& path, int64_t context_length);

}  // namespace orthant::models
