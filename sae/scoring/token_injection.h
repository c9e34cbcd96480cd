// Token injection (arXiv 2601.05679, section 4): a latent that fires as soon as its tokens stand in any text
// tells words, not what is done with them.
//
// Of a latent the tokens with the largest mean activation are taken; into snippets of text without what is
// looked for are injected three of them, two pairs (a token behind its most frequent neighbour) or one
// triple. Cohen's d is that of the largest activation in injected snippets against the same snippets
// untouched, and the largest d of the three kinds tells the class. Pure functions; thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "runtime/job/activation_source.h"
#include "sae/measure/firings.h"
#include "sae/scoring/pooled_moments.h"

namespace orthant::sae {

// Tokens of a source in file order; begins[i]: row i begins a sequence.
struct TokenText {
  std::vector<int32_t> ids;
  std::vector<bool> begins;
};
// Local. Rows [first, first + count) of kTrain.
[[nodiscard]] TokenText read_token_text(ActivationSource& source, int64_t first, int64_t count);

// A token at which a latent fires.
struct TokenAffinity {
  int32_t token = 0;
  double mean = 0.0;  // activation, over all occurrences but those that begin a sequence
  int64_t occurrences = 0;
  int32_t before = -1;  // what most often stands before and after it where the latent fires, ties to the
  int32_t after = -1;   // lowest token; -1: nothing ever does
};

// The `most` tokens of the largest mean above 0, falling, ties to the lowest, among those that occur
// `least_occurrences` times. `firings` count from row 0 of the text. Tokens of `special` (ascending) are left
// out.
[[nodiscard]] std::vector<TokenAffinity> tokens_of_latent(const Firings& firings, const TokenText& text,
                                                          std::span<const int32_t> special, int64_t most,
                                                          int64_t least_occurrences);

enum class InjectionKind { kTokens, kPairs, kTriple };
inline constexpr int kInjectionKinds = 3;
[[nodiscard]] std::string_view name_of(InjectionKind kind);

// `count` snippets of `length` tokens, evenly over those that the sequences of `text` hold; all where there
// are fewer.
[[nodiscard]] std::vector<std::vector<int32_t>> snippets_of(const TokenText& text, int64_t length,
                                                            int64_t count);

// The snippet with tokens of the latent put between its own, never in front, cut to its length at the end:
// what is drawn and where is a function of (seed, latent, index, kind). Without tokens the snippet itself.
[[nodiscard]] std::vector<int32_t> injected(std::span<const int32_t> snippet,
                                            std::span<const TokenAffinity> tokens, InjectionKind kind,
                                            uint64_t seed, int64_t latent, int64_t index);

// kUntested: of a latent without tokens, for which nothing was injected.
enum class InjectionClass { kTokenDriven, kPartly, kWeakly, kContextDependent, kUntested };
inline constexpr int kInjectionClasses = 5;
// d >= 0.8, 0.5, 0.2 (Cohen, 1988), else context-dependent.
[[nodiscard]] InjectionClass injection_class(double d);
[[nodiscard]] std::string_view name_of(InjectionClass found);

}  // namespace orthant::sae
