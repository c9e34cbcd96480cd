// SentencePiece-style BPE, the tokenizer of Llama 2 and llama2.c: characters are merged by score or rank,
// spaces are part of the tokens, and characters without a token fall back to byte tokens.
//
// Inside, a space is a space: vocabularies that write U+2581 are translated at loading.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/vocabulary.h"

namespace orthant::models {

enum class PrefixSpace {
  kNever,
  kTextOnly,      // in front of the text, unless it begins with an added token
  kEveryStretch,  // also after each added token
};

enum class PieceKind : uint8_t {
  kNormal,
  kByte,     // "<0x0A>"
  kControl,  // never the result of a merge
};

struct SentencePieceParts {
  Vocabulary vocabulary;                                    // tokens as the file writes them
  std::vector<PieceKind> kinds;                             // by id
  std::vector<float> scores;                                // by id; empty: `merges` rule
  std::vector<std::pair<std::string, std::string>> merges;  // by rank, as the file writes them
  std::optional<int32_t> unknown;
  PrefixSpace prefix_space = PrefixSpace::kEveryStretch;
  bool strips_leading_space = true;    // decoding takes a space off the front of the text
  bool prefix_unless_present = false;  // no prefix where the text begins with a space
  bool split_at_spaces = false;        // every space begins a piece that merges do not leave
};

// Throws Error(kData) when the parts do not fit each other; `path` is for messages.
[[nodiscard]] std::unique_ptr<Tokenizer> make_sentence_piece_bpe(SentencePieceParts parts,
                                                                 const std::string& path);

}  // namespace orthant::models
