// Cuts text into the pieces that byte-pair merges may not cross: a sequence of splits, each applied to the
// pieces of the one before.
//
// Immutable after set-up; thread-safe.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "models/tokenizer/pattern.h"

namespace orthant::models {

enum class SplitKeeps {
  kAll,      // matches and what lies between them are pieces
  kMatches,  // only matches are
  kBetween,  // only what lies between them is
};

class PreTokenizer {
 public:
  // Every match of `expression` becomes a piece.
  void add_split(const std::string& expression, SplitKeeps keeps = SplitKeeps::kAll);
  // Puts a space in front of a piece that does not begin with one.
  void add_prefix_space();

  // Calls `visit` with each piece in order; a piece is valid during the call only.
  void for_each_piece(std::string_view text, const std::function<void(std::string_view)>& visit) const;

 private:
  struct Step {
    std::vector<Pattern> pattern;  // none: a prefix space
    SplitKeeps keeps;
  };
  void run(size_t step, std::string_view text, const std::function<void(std::string_view)>& visit) const;

  std::vector<Step> steps_;
};

// The expressions of well-known models.
inline constexpr std::string_view kGpt2Split =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kLlama3Split =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kQwen2Split =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// The pre-tokenizer that GGUF calls `name` ("smollm", "llama-bpe", "qwen2", "gpt-2", ...). Throws
// Error(kConfig) naming it and the known ones.
[[nodiscard]] PreTokenizer pre_tokenizer_from_gguf_name(std::string_view name, const std::string& path);

}  // namespace orthant::models
