// What both kinds of tokenizer hold beside their merges: the bytes of every token, added tokens, special ids
// and the chat template.
//
// Immutable after set-up; thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "models/tokenizer/added_tokens.h"
#include "models/tokenizer/chat_template.h"

namespace orthant::models {

struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};
using TokenIds = std::unordered_map<std::string, int32_t, TextHash, std::equal_to<>>;

struct Vocabulary {
  std::vector<std::string> tokens;  // by id, as bytes of text; ids without a token are empty
  AddedTokens added;
  std::optional<int32_t> bos;
  std::optional<int32_t> eos;
  std::vector<int32_t> ends;  // of a generation: eos first, each once
  std::unordered_set<int32_t> specials;
  bool adds_bos = false;
  std::unique_ptr<ChatTemplate> chat;

  void add_end(std::optional<int32_t> id);  // unless it is one already
};

// Calls `encode(text, begins_text)` for each stretch between added tokens and appends the added tokens' ids
// to `ids`.
template <typename Encode>
void encode_around_added(const AddedTokens& added, std::string_view text, std::vector<int32_t>& ids,
                         Encode encode) {
  size_t done = 0;
  while (const auto match = added.next(text, done)) {
    if (match->begin > done) encode(text.substr(done, match->begin - done), done == 0);
    ids.push_back(match->id);
    done = match->end;
  }
  if (done < text.size()) encode(text.substr(done), done == 0);
}

// Throws Error(kData) naming the offset unless `text` is well-formed UTF-8.
void check_utf8(std::string_view text);

}  // namespace orthant::models
