#include "models/tokenizer/gguf_tokenizer.h"

#include <fmt/format.h>

#include "models/formats/gguf.h"
#include "models/tokenizer/byte_alphabet.h"
#include "models/tokenizer/byte_level_bpe.h"
#include "models/tokenizer/sentence_piece_bpe.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

// The numbers are part of the format.
enum class TokenType : int64_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

[[noreturn]] void throw_damaged(const GgufFile& file, std::string why) {
  throw Error(ExitCode::kData, {.problem = fmt::format("the tokenizer of {} is damaged", file.path()),
                                .why = std::move(why),
                                .suggestion = "fetch the file again"});
}

std::vector<TokenType> token_types(const GgufFile& file, size_t tokens) {
  const auto stored = file.integers("tokenizer.ggml.token_type");
  if (stored.empty()) return std::vector<TokenType>(tokens, TokenType::kNormal);
  if (stored.size() != tokens)
    throw_damaged(file, fmt::format("{} tokens have {} types", tokens, stored.size()));
  std::vector<TokenType> types;
  for (const int64_t type : stored) types.push_back(static_cast<TokenType>(type));
  return types;
}

bool is_added(TokenType type) {
  return type == TokenType::kControl || type == TokenType::kUserDefined || type == TokenType::kUnknown;
}

AddedTokens added_tokens(std::span<const std::string_view> tokens, const std::vector<TokenType>& types) {
  std::vector<AddedToken> added;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (is_added(types[id])) added.push_back({std::string(tokens[id]), static_cast<int32_t>(id)});
  }
  return AddedTokens(std::move(added));
}

std::optional<int32_t> special_id(const GgufFile& file, std::string_view key, size_t tokens) {
  const auto id = file.integer(key);
  if (!id || *id < 0 || *id >= static_cast<int64_t>(tokens)) return std::nullopt;
  return static_cast<int32_t>(*id);
}

// Everything but the tokens themselves.
Vocabulary read_vocabulary(const GgufFile& file, std::span<const std::string_view> tokens,
                           const std::vector<TokenType>& types, bool adds_bos_by_default) {
  Vocabulary vocabulary;
  vocabulary.added = added_tokens(tokens, types);
  vocabulary.bos = special_id(file, "tokenizer.ggml.bos_token_id", tokens.size());
  vocabulary.eos = special_id(file, "tokenizer.ggml.eos_token_id", tokens.size());
  vocabulary.add_end(vocabulary.eos);
  for (const char* key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
    vocabulary.add_end(special_id(file, key, tokens.size()));
  for (size_t id = 0; id < types.size(); ++id) {
    if (types[id] == TokenType::kControl || types[id] == TokenType::kUnknown)
      vocabulary.specials.insert(static_cast<int32_t>(id));
  }
  vocabulary.adds_bos = vocabulary.bos.has_value() &&
                        file.boolean("tokenizer.ggml.add_bos_token").value_or(adds_bos_by_default);
  const auto text_of = [tokens](std::optional<int32_t> id) { return id ? std::string(tokens[*id]) : ""; };
  vocabulary.chat = recognise_chat_template(file.text("tokenizer.chat_template").value_or(""),
                                            text_of(vocabulary.bos), text_of(vocabulary.eos));
  return vocabulary;
}

std::unique_ptr<Tokenizer> byte_level(const GgufFile& file, std::span<const std::string_view> tokens) {
  const std::string_view pre = file.text("tokenizer.ggml.pre").value_or("default");
  const bool llama3 = pre == "llama-bpe" || pre == "llama3" || pre == "llama-v3";
  const auto types = token_types(file, tokens.size());
  ByteLevelParts parts{.vocabulary = read_vocabulary(file, tokens, types, llama3),
                       .merges = {},
                       .pre_tokenizer = pre_tokenizer_from_gguf_name(pre, file.path()),
                       .ignore_merges = llama3};
  for (size_t id = 0; id < tokens.size(); ++id) {
    parts.vocabulary.tokens.push_back(is_added(types[id]) ? std::string(tokens[id])
                                                          : bytes_from_alphabet(tokens[id]));
  }
  const auto merges = file.texts("tokenizer.ggml.merges");
  if (merges.empty()) throw_damaged(file, "it has no tokenizer.ggml.merges");
  for (const std::string_view merge : merges) {
    const size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos) throw_damaged(file, fmt::format("merge \"{}\" has one side", merge));
    parts.merges.emplace_back(bytes_from_alphabet(merge.substr(0, space)),
                              bytes_from_alphabet(merge.substr(space + 1)));
  }
  return make_byte_level_bpe(std::move(parts), file.path());
}

PieceKind piece_kind(TokenType type) {
  if (type == TokenType::kByte) return PieceKind::kByte;
  const bool control = type == TokenType::kControl || type == TokenType::kUnknown;
  return control ? PieceKind::kControl : PieceKind::kNormal;
}

std::unique_ptr<Tokenizer> sentence_piece(const GgufFile& file, std::span<const std::string_view> tokens) {
  const auto types = token_types(file, tokens.size());
  const auto scores = file.reals("tokenizer.ggml.scores");
  if (scores.size() != tokens.size()) {
    throw_damaged(file, fmt::format("{} tokens have {} scores", tokens.size(), scores.size()));
  }
  SentencePieceParts parts;
  parts.vocabulary = read_vocabulary(file, tokens, types, true);
  parts.vocabulary.tokens.assign(tokens.begin(), tokens.end());
  for (const TokenType type : types) parts.kinds.push_back(piece_kind(type));
  parts.scores.assign(scores.begin(), scores.end());
  parts.unknown = special_id(file, "tokenizer.ggml.unknown_token_id", tokens.size());
  const bool prefix = file.boolean("tokenizer.ggml.add_space_prefix").value_or(true);
  parts.prefix_space = prefix ? PrefixSpace::kEveryStretch : PrefixSpace::kNever;
  parts.strips_leading_space = prefix;
  return make_sentence_piece_bpe(std::move(parts), file.path());
}

}  // namespace

std::unique_ptr<Tokenizer> open_gguf_tokenizer(const std::string& path) {
  const GgufFile file(path);
  const std::string_view model = file.text("tokenizer.ggml.model").value_or("none");
  const auto tokens = file.texts("tokenizer.ggml.tokens");
  if (model != "gpt2" && model != "llama") {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("the tokenizer of {} is of kind \"{}\"", path, model),
                 .why = "gpt2 (byte-level BPE) and llama (SentencePiece BPE) are supported",
                 .suggestion = "give the model's tokenizer.json instead"});
  }
  if (tokens.empty()) throw_damaged(file, "it has no tokenizer.ggml.tokens");
  return model == "gpt2" ? byte_level(file, tokens) : sentence_piece(file, tokens);
}

}  // namespace orthant::models
