#include "models/tokenizer/llama2c_tokenizer.h"

#include <fmt/format.h>

#include "models/formats/byte_cursor.h"
#include "models/tokenizer/sentence_piece_bpe.h"
#include "runtime/core/error.h"
#include "runtime/storage/file.h"

namespace orthant::models {
namespace {

// The format fixes these ids and the order of the byte tokens.
constexpr int32_t kUnknown = 0;
constexpr int32_t kBos = 1;
constexpr int32_t kEos = 2;
constexpr int32_t kFirstByte = 3;
constexpr int32_t kFirstPiece = kFirstByte + 256;

PieceKind kind_of(int32_t id) {
  if (id < kFirstByte) return PieceKind::kControl;
  return id < kFirstPiece ? PieceKind::kByte : PieceKind::kNormal;
}

}  // namespace

std::unique_ptr<Tokenizer> open_llama2c_tokenizer(const std::string& path) {
  const MappedFile file(path);
  ByteCursor cursor(file);
  (void)cursor.value<int32_t>("the longest token's length");
  SentencePieceParts parts;
  while (cursor.remaining() > 0) {
    const auto score = cursor.value<float>("a token's score");
    const auto length = cursor.value<uint32_t>("a token's length");
    const std::string_view text = cursor.text(length, "a token");
    parts.kinds.push_back(kind_of(static_cast<int32_t>(parts.vocabulary.tokens.size())));
    parts.vocabulary.tokens.emplace_back(text);
    parts.scores.push_back(score);
  }
  if (static_cast<int32_t>(parts.kinds.size()) < kFirstPiece) {
    throw Error(ExitCode::kData,
                {.problem = fmt::format("{} is not a llama2.c vocabulary", path),
                 .why = fmt::format("it has {} tokens, fewer than the 259 fixed ones", parts.kinds.size()),
                 .suggestion = "give the tok*.bin of the model"});
  }
  parts.unknown = kUnknown;
  parts.vocabulary.bos = kBos;
  parts.vocabulary.eos = kEos;
  parts.vocabulary.ends = {kEos};
  parts.vocabulary.specials = {kUnknown, kBos, kEos};
  parts.vocabulary.adds_bos = true;
  parts.vocabulary.chat = recognise_chat_template("", "", "");
  return make_sentence_piece_bpe(std::move(parts), path);
}

}  // namespace orthant::models
