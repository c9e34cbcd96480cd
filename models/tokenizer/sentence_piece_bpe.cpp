#include "models/tokenizer/sentence_piece_bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "models/tokenizer/merge_table.h"
#include "models/tokenizer/utf8.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";
constexpr int32_t kNoToken = -1;

std::string with_spaces(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const bool mark = text.substr(at).starts_with(kSpaceMark);
    result += mark ? ' ' : text[at];
    at += mark ? kSpaceMark.size() : 1;
  }
  return result;
}

// The byte of "<0x0A>".
std::optional<uint8_t> byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  uint8_t byte = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return byte;
}

// A lower rank for a higher score, the same for equal scores: ties go to the left.
std::vector<int32_t> ranks_of(const std::vector<float>& scores) {
  std::vector<float> distinct(scores);
  std::ranges::sort(distinct, std::greater<>());
  distinct.erase(std::ranges::unique(distinct).begin(), distinct.end());
  std::vector<int32_t> ranks;
  for (const float score : scores) {
    const auto at = std::ranges::lower_bound(distinct, score, std::greater<>());
    ranks.push_back(static_cast<int32_t>(at - distinct.begin()));
  }
  return ranks;
}

// Every way to write a token as two tokens is a merge of the token's rank.
MergeTable merges_from_scores(const SentencePieceParts& parts, const TokenIds& ids) {
  const std::vector<int32_t> ranks = ranks_of(parts.scores);
  MergeTable table(static_cast<int64_t>(ids.size()) * 2);
  for (const auto& [token, id] : ids) {
    for (size_t cut = 1; cut < token.size(); ++cut) {
      const auto left = ids.find(std::string_view(token).substr(0, cut));
      if (left == ids.end()) continue;
      const auto right = ids.find(std::string_view(token).substr(cut));
      if (right != ids.end()) table.add(left->second, right->second, {ranks[id], id});
    }
  }
  return table;
}

MergeTable merges_from_list(const SentencePieceParts& parts, const TokenIds& ids, const std::string& path) {
  MergeTable table(static_cast<int64_t>(parts.merges.size()));
  for (size_t rank = 0; rank < parts.merges.size(); ++rank) {
    const std::string left = with_spaces(parts.merges[rank].first);
    const std::string right = with_spaces(parts.merges[rank].second);
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

// Whether a token holds a space after another character, so that merges may join words.
bool joins_words(std::string_view token) {
  const size_t word = token.find_first_not_of(' ');
  return word != std::string_view::npos && token.find(' ', word) != std::string_view::npos;
}

class SentencePieceBpe final : public Tokenizer {
 public:
  SentencePieceBpe(SentencePieceParts parts, const std::string& path)
      : unknown_(parts.unknown.value_or(kNoToken)),
        prefix_space_(parts.prefix_space),
        strips_leading_space_(parts.strips_leading_space),
        prefix_unless_present_(parts.prefix_unless_present),
        split_at_spaces_(parts.split_at_spaces),
        marks_spaces_(std::ranges::any_of(
            parts.vocabulary.tokens, [](const auto& token) { return token.find(kSpaceMark) != token.npos; })),
        ids_(take_tokens(parts)),
        merges_(parts.scores.empty() ? merges_from_list(parts, ids_, path) : merges_from_scores(parts, ids_)),
        vocabulary_(std::move(parts.vocabulary)) {}

  [[nodiscard]] std::vector<int32_t> encode(std::string_view text) const override {
    check_utf8(text);
    std::vector<int32_t> ids;
    WordCache cache;
    encode_around_added(vocabulary_.added, text, ids, [&](std::string_view stretch, bool begins_text) {
      append_stretch(prepared(stretch, begins_text), cache, ids);
    });
    return ids;
  }

  [[nodiscard]] std::string decode(std::span<const int32_t> ids) const override {
    std::string bytes;
    for (const int32_t id : ids) {
      if (id >= 0 && id < static_cast<int32_t>(vocabulary_.tokens.size())) bytes += vocabulary_.tokens[id];
    }
    int64_t replacements = 0;
    std::string text = replace_invalid_utf8(bytes, replacements);
    if (strips_leading_space_ && text.starts_with(' ')) text.erase(0, 1);
    return text;
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
  using WordCache = std::unordered_map<std::string, std::vector<int32_t>, TextHash, std::equal_to<>>;
  static constexpr size_t kLongestCachedWord = 64;

  // Translates spaces and byte tokens in place and indexes what text may become.
  TokenIds take_tokens(SentencePieceParts& parts) {
    TokenIds ids;
    byte_ids_.fill(kNoToken);
    for (size_t id = 0; id < parts.vocabulary.tokens.size(); ++id) {
      std::string& token = parts.vocabulary.tokens[id];
      const auto number = static_cast<int32_t>(id);
      if (parts.kinds[id] == PieceKind::kByte) {
        const auto byte = byte_of(token);
        if (!byte) continue;
        byte_ids_[*byte] = number;
        token.assign(1, static_cast<char>(*byte));
        continue;
      }
      if (parts.kinds[id] == PieceKind::kControl || token.empty()) continue;
      if (marks_spaces_) token = with_spaces(token);
      words_may_join_ |= joins_words(token);
      ids.emplace(token, number);
    }
    has_byte_tokens_ = std::ranges::none_of(byte_ids_, [](int32_t id) { return id == kNoToken; });
    return ids;
  }

  [[nodiscard]] std::string prepared(std::string_view stretch, bool begins_text) const {
    const bool wanted = prefix_space_ == PrefixSpace::kEveryStretch ||
                        (prefix_space_ == PrefixSpace::kTextOnly && begins_text);
    const std::string text = marks_spaces_ ? with_spaces(stretch) : std::string(stretch);
    const bool present = prefix_unless_present_ && text.starts_with(' ');
    if (!wanted || present) return text;
    std::string prefixed(1, ' ');
    prefixed += text;
    return prefixed;
  }

  // Words are encoded one by one where no merge can join them.
  void append_stretch(std::string_view text, WordCache& cache, std::vector<int32_t>& ids) const {
    if (words_may_join_ && !split_at_spaces_) return append_word(text, ids);
    for (size_t begin = 0; begin < text.size();) {
      size_t end = begin + 1;
      if (!split_at_spaces_) end = std::min(text.find_first_not_of(' ', begin), text.size());
      end = std::max(std::min(text.find(' ', end), text.size()), begin + 1);
      append_cached(text.substr(begin, end - begin), cache, ids);
      begin = end;
    }
  }

  void append_cached(std::string_view word, WordCache& cache, std::vector<int32_t>& ids) const {
    if (const auto known = cache.find(word); known != cache.end()) {
      ids.insert(ids.end(), known->second.begin(), known->second.end());
      return;
    }
    const auto begin = static_cast<std::ptrdiff_t>(ids.size());
    append_word(word, ids);
    if (word.size() <= kLongestCachedWord) {
      cache.emplace(word, std::vector<int32_t>(ids.begin() + begin, ids.end()));
    }
  }

  void append_word(std::string_view word, std::vector<int32_t>& ids) const {
    const size_t begin = ids.size();
    while (!word.empty()) {
      const std::string_view character = word.substr(0, next_character(word).bytes);
      word.remove_prefix(character.size());
      append_character(character, begin, ids);
    }
    merges_.apply(ids, begin);
  }

  void append_character(std::string_view character, size_t begin, std::vector<int32_t>& ids) const {
    if (const auto found = ids_.find(character); found != ids_.end()) {
      ids.push_back(found->second);
    } else if (has_byte_tokens_) {
      for (const char byte : character) ids.push_back(byte_ids_[static_cast<uint8_t>(byte)]);
    } else if (unknown_ != kNoToken && (ids.size() == begin || ids.back() != unknown_)) {
      ids.push_back(unknown_);  // neighbouring unknown characters are one
    }
  }

  int32_t unknown_;
  PrefixSpace prefix_space_;
  bool strips_leading_space_;
  bool prefix_unless_present_;
  bool split_at_spaces_;
  bool marks_spaces_;
  bool words_may_join_ = false;
  bool has_byte_tokens_ = false;
  std::array<int32_t, 256> byte_ids_{};
  TokenIds ids_;
  MergeTable merges_;
  Vocabulary vocabulary_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_sentence_piece_bpe(SentencePieceParts parts, const std::string& path) {
  const size_t tokens = parts.vocabulary.tokens.size();
  require(parts.kinds.size() == tokens, "every token has a kind");
  if (!parts.scores.empty() && parts.scores.size() != tokens) {
    throw Error(ExitCode::kData, {.problem = fmt::format("the tokenizer of {} is damaged", path),
                                  .why = fmt::format("{} tokens have {} scores", tokens, parts.scores.size()),
                                  .suggestion = "fetch the file again"});
  }
  return std::make_unique<SentencePieceBpe>(std::move(parts), path);
}

}  // namespace orthant::models
