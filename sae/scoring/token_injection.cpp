#include "sae/scoring/token_injection.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "runtime/core/error.h"
#include "runtime/core/rng.h"
#include "sae/scoring/sequence_blocks.h"

namespace orthant::sae {
namespace {

constexpr int64_t kLabelsAtOnce = int64_t{1} << 16;

using TokenTally = std::map<int32_t, int64_t>;  // token -> times

int32_t most_frequent(const TokenTally& tally) {
  int32_t found = -1;
  int64_t times = 0;
  for (const auto& [token, count] : tally) {
    if (count > times) found = token, times = count;
  }
  return found;
}

struct TokenSums {
  double sum = 0.0;
  TokenTally before, after;
};

bool counts(const TokenText& text, size_t row, std::span<const int32_t> special) {
  return !text.begins[row] && !std::binary_search(special.begin(), special.end(), text.ids[row]);
}

std::unordered_map<int32_t, int64_t> occurrences_of(const TokenText& text, std::span<const int32_t> special) {
  std::unordered_map<int32_t, int64_t> occurrences;
  for (size_t row = 0; row < text.ids.size(); ++row) {
    if (counts(text, row, special)) ++occurrences[text.ids[row]];
  }
  return occurrences;
}

std::map<int32_t, TokenSums> sums_of(const Firings& firings, const TokenText& text,
                                     std::span<const int32_t> special) {
  std::map<int32_t, TokenSums> sums;
  for (const Firing& firing : firings) {
    const auto row = static_cast<size_t>(firing.row);
    require(row < text.ids.size(), "a latent fires within the text");
    if (!counts(text, row, special)) continue;
    TokenSums& of = sums[text.ids[row]];
    of.sum += firing.value;
    if (counts(text, row - 1, special)) ++of.before[text.ids[row - 1]];
    if (row + 1 < text.ids.size() && counts(text, row + 1, special)) ++of.after[text.ids[row + 1]];
  }
  return sums;
}

// What is injected together: the token, and its neighbours where the kind wants them and there are some.
std::vector<int32_t> piece_of(const TokenAffinity& token, InjectionKind kind) {
  std::vector<int32_t> piece = {token.token};
  if (kind != InjectionKind::kTokens && token.before >= 0) piece.insert(piece.begin(), token.before);
  if (kind == InjectionKind::kTriple && token.after >= 0) piece.push_back(token.after);
  return piece;
}

size_t pieces_of(InjectionKind kind) {
  return kind == InjectionKind::kTokens ? 3 : kind == InjectionKind::kPairs ? 2 : 1;
}

// One draw of an injection: `number` counts the draws.
class Draws {
 public:
  Draws(uint64_t seed, int64_t latent, int64_t index, InjectionKind kind)
      : seed_(seed),
        latent_(static_cast<uint32_t>(latent)),
        first_((static_cast<uint64_t>(index) * 4 + static_cast<uint64_t>(kind)) * 16) {}
  [[nodiscard]] uint64_t below(uint64_t count) {
    return random_u64(seed_, Purpose::kSampleOrder, latent_, first_ + number_++) % count;
  }

 private:
  uint64_t seed_;
  uint32_t latent_;
  uint64_t first_;
  uint64_t number_ = 0;
};

}  // namespace

TokenText read_token_text(ActivationSource& source, int64_t first, int64_t count) {
  TokenText text;
  RowLabels labels;
  // Each piece begins with the row before it, to see whether a sequence begins.
  for (int64_t row = first; row < first + count; row += kLabelsAtOnce) {
    const int64_t from = std::max(row - 1, first);
    source.read_labels(Split::kTrain, from, std::min(row + kLabelsAtOnce, first + count) - from, labels);
    const std::vector<int64_t> offsets = sequence_offsets(labels);
    std::vector<bool> begins(labels.token_ids.size(), false);
    for (size_t s = 0; s + 1 < offsets.size(); ++s) begins[static_cast<size_t>(offsets[s])] = true;
    const auto skip = static_cast<int64_t>(row - from);
    text.ids.insert(text.ids.end(), labels.token_ids.begin() + skip, labels.token_ids.end());
    text.begins.insert(text.begins.end(), begins.begin() + skip, begins.end());
  }
  return text;
}

std::vector<TokenAffinity> tokens_of_latent(const Firings& firings, const TokenText& text,
                                            std::span<const int32_t> special, int64_t most,
                                            int64_t least_occurrences) {
  const std::unordered_map<int32_t, int64_t> occurrences = occurrences_of(text, special);
  std::vector<TokenAffinity> found;
  for (const auto& [token, sums] : sums_of(firings, text, special)) {
    const int64_t times = occurrences.at(token);
    if (times < least_occurrences || !(sums.sum > 0.0)) continue;
    found.push_back({token, sums.sum / static_cast<double>(times), times, most_frequent(sums.before),
                     most_frequent(sums.after)});
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const TokenAffinity& a, const TokenAffinity& b) { return a.mean > b.mean; });
  found.resize(std::min(found.size(), static_cast<size_t>(most)));
  return found;
}

std::string_view name_of(InjectionKind kind) {
  constexpr std::string_view kNames[] = {"tokens", "pairs", "triple"};
  return kNames[static_cast<size_t>(kind)];
}

std::vector<std::vector<int32_t>> snippets_of(const TokenText& text, int64_t length, int64_t count) {
  std::vector<int64_t> begins;
  const auto rows = static_cast<int64_t>(text.ids.size());
  int64_t first = 0;  // of the snippet that grows
  for (int64_t row = 0; row < rows; ++row) {
    if (text.begins[static_cast<size_t>(row)]) first = row;
    if (row + 1 - first < length) continue;
    begins.push_back(first);
    first = row + 1;
  }
  const auto found = static_cast<int64_t>(begins.size());
  const int64_t taken = std::min(count, found);
  std::vector<std::vector<int32_t>> snippets;
  for (int64_t i = 0; i < taken; ++i) {
    const auto at = text.ids.begin() + begins[static_cast<size_t>(i * found / taken)];
    snippets.emplace_back(at, at + length);
  }
  return snippets;
}

std::vector<int32_t> injected(std::span<const int32_t> snippet, std::span<const TokenAffinity> tokens,
                              InjectionKind kind, uint64_t seed, int64_t latent, int64_t index) {
  std::vector<int32_t> text(snippet.begin(), snippet.end());
  if (tokens.empty()) return text;
  Draws draws(seed, latent, index, kind);
  std::vector<std::vector<int32_t>> pieces;
  size_t added = 0;
  for (size_t p = 0; p < pieces_of(kind); ++p) {
    std::vector<int32_t> piece = piece_of(tokens[draws.below(tokens.size())], kind);
    if (added + piece.size() >= text.size()) break;
    added += piece.size();
    pieces.push_back(std::move(piece));
  }
  // Behind the first token, and so that nothing of them is cut at the end.
  std::vector<int64_t> places;
  for (size_t p = 0; p < pieces.size(); ++p) {
    places.push_back(static_cast<int64_t>(1 + draws.below(text.size() - added)));
  }
  std::sort(places.begin(), places.end());
  for (size_t p = pieces.size(); p-- > 0;) {
    text.insert(text.begin() + places[p], pieces[p].begin(), pieces[p].end());
  }
  text.resize(snippet.size());
  return text;
}

InjectionClass injection_class(double d) {
  if (d >= 0.8) return InjectionClass::kTokenDriven;
  if (d >= 0.5) return InjectionClass::kPartly;
  return d >= 0.2 ? InjectionClass::kWeakly : InjectionClass::kContextDependent;
}

std::string_view name_of(InjectionClass found) {
  constexpr std::string_view kNames[] = {"token_driven", "partly_token_driven", "weakly_token_driven",
                                         "context_dependent", "untested"};
  return kNames[static_cast<size_t>(found)];
}

}  // namespace orthant::sae
