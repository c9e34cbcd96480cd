#include "models/tokenizer/byte_level_bpe.h"

#include <fmt/format.h>

#include <array>

#include "models/tokenizer/merge_table.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

constexpr int32_t kNoToken = -1;

TokenIds index_tokens(const std::vector<std::string>& tokens) {
  TokenIds ids;
  ids.reserve(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (!tokens[id].empty()) ids.emplace(tokens[id], static_cast<int32_t>(id));
  }
  return ids;
}

MergeTable index_merges(const std::vector<std::pair<std::string, std::string>>& merges, const TokenIds& ids,
                        const std::string& path) {
  MergeTable table(static_cast<int64_t>(merges.size()));
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    const auto left_id = ids.find(left);
    const auto right_id = ids.find(right);
    const auto merged = ids.find(left + right);
    if (left_id == ids.end() || right_id == ids.end() || merged == ids.end()) {
      throw Error(ExitCode::kData, {.problem = fmt::format("the tokenizer of {} is damaged", path),
                                    .why = fmt::format("merge {} names a token that does not exist", rank),
                                    .suggestion = "fetch the file again"});
    }
    table.add(left_id->second, right_id->second, {static_cast<int32_t>(rank), merged->second});
  }
  return table;
}

// Where the tokens of a piece that was met before stand in the output.
struct Stretch {
  size_t begin = 0;
  size_t count = 0;
};
using PieceCache = std::unordered_map<std::string, Stretch, TextHash, std::equal_to<>>;
// Longer pieces hardly ever repeat.
constexpr size_t kLongestCachedPiece = 64;

class ByteLevelBpe final : public Tokenizer {
 public:
  ByteLevelBpe(ByteLevelParts parts, const std::string& path)
      : vocabulary_(std::move(parts.vocabulary)),
        pre_tokenizer_(std::move(parts.pre_tokenizer)),
        ignore_merges_(parts.ignore_merges),
        ids_(index_tokens(vocabulary_.tokens)),
        merges_(index_merges(parts.merges, ids_, path)) {
    for (int byte = 0; byte < 256; ++byte) {
      const auto found = ids_.find(std::string(1, static_cast<char>(byte)));
      byte_ids_[byte] = found == ids_.end() ? kNoToken : found->second;
    }
  }

  [[nodiscard]] std::vector<int32_t> encode(std::string_view text) const override {
    check_utf8(text);
    std::vector<int32_t> ids;
    PieceCache cache;
    encode_around_added(vocabulary_.added, text, ids, [&](std::string_view stretch, bool) {
      pre_tokenizer_.for_each_piece(stretch, [&](std::string_view piece) { append(piece, cache, ids); });
    });
    return ids;
  }

  [[nodiscard]] std::string decode(std::span<const int32_t> ids) const override {
    std::string bytes;
    for (const int32_t id : ids) {
      if (id >= 0 && id < static_cast<int32_t>(vocabulary_.tokens.size())) bytes += vocabulary_.tokens[id];
    }
    int64_t replacements = 0;
    return replace_invalid_utf8(bytes, replacements);
  }

  [[nodiscard]] int64_t vocabulary() const override {
    return static_cast<int64_t>(vocabulary_.tokens.size());
  }
  [[nodiscard]] std::optional<int32_t> bos() const override { return vocabulary_.bos; }
  [[nodiscard]] std::optional<int32_t> eos() const override { return vocabulary_.eos; }
  [[nodiscard]] const std::vector<int32_t>& ends() const override { return vocabulary_.ends; }
  [[nodiscard]] bool is_special(int32_t id) const override { return vocabulary_.specials.contains(id); }
  [[nodiscard]] bool adds_bos() const override { return vocabulary_.adds_bos; }
  [[nodiscard]] std::string apply_chat_template(std::span<const ChatMessage> messages) const override {
    return vocabulary_.chat->apply(messages);
  }

 private:
  void append(std::string_view piece, PieceCache& cache, std::vector<int32_t>& ids) const {
    if (const auto known = cache.find(piece); known != cache.end()) {
      for (size_t i = 0; i < known->second.count; ++i) ids.push_back(ids[known->second.begin + i]);
      return;
    }
    const size_t begin = ids.size();
    const auto whole = ignore_merges_ ? ids_.find(piece) : ids_.end();
    if (whole != ids_.end()) {
      ids.push_back(whole->second);
    } else {
      for (const char byte : piece) {
        const int32_t id = byte_ids_[static_cast<uint8_t>(byte)];
        if (id != kNoToken) ids.push_back(id);
      }
      merges_.apply(ids, begin);
    }
    if (piece.size() <= kLongestCachedPiece) cache.emplace(piece, Stretch{begin, ids.size() - begin});
  }

  Vocabulary vocabulary_;
  PreTokenizer pre_tokenizer_;
  bool ignore_merges_;
  TokenIds ids_;
  MergeTable merges_;
  std::array<int32_t, 256> byte_ids_{};
};

}  // namespace

std::unique_ptr<Tokenizer> make_byte_level_bpe(ByteLevelParts parts, const std::string& path) {
  return std::make_unique<ByteLevelBpe>(std::move(parts), path);
}

}  // namespace orthant::models
