// Which tokens of a sequence lie near a word of a vocabulary: the masks that ReasonScore averages over.
//
// A word is a group of surface forms, each a subsequence of token ids (arXiv 2503.18878, section 3: matching
// is on tokens, not on characters). Every token of an occurrence is a hit; the window of a group is what lies
// within `left` tokens before and `right` after a hit, special tokens left out. Windows never leave their
// sequence. Immutable; thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/codes/group_sums.h"

namespace orthant::sae {

using TokenForm = std::vector<int32_t>;  // token ids, at least one

struct TokenGroup {
  std::string name;
  std::vector<TokenForm> forms;
};

struct WindowOptions {
  int64_t left = 2;
  int64_t right = 3;
  // Repeats the released program, which loses hits of a form after two of them whose windows begin at the
  // same token: for comparing with it only.
  bool compat = false;
};

// Beside one bit a group a mask has two more: in the window of any group, and in none and not special.
inline constexpr int kExtraGroups = 2;
inline constexpr int kMostWindowGroups = kernels::kMostGroups - kExtraGroups;

class WindowMarker {
 public:
  // Tokens of `special` lie in no window and are not counted outside of them. Throws Error(kConfig) for no
  // group, for more than kMostWindowGroups, and for a form without tokens, naming the group.
  WindowMarker(std::vector<TokenGroup> groups, std::vector<int32_t> special, WindowOptions options);

  [[nodiscard]] int64_t groups() const { return static_cast<int64_t>(groups_.size()); }
  // Bits of a mask: groups() and the two others.
  [[nodiscard]] int64_t bits() const { return groups() + kExtraGroups; }
  [[nodiscard]] int64_t near_bit() const { return groups(); }
  [[nodiscard]] int64_t far_bit() const { return groups() + 1; }
  [[nodiscard]] const std::vector<TokenGroup>& vocabulary() const { return groups_; }

  // `masks` [ids.size()] of one whole sequence; all zero for special tokens.
  void mark(std::span<const int32_t> ids, std::span<uint64_t> masks) const;
  [[nodiscard]] bool is_special(int32_t id) const;

 private:
  void mark_form(const TokenForm& form, uint64_t bit, std::span<const int32_t> ids,
                 std::span<uint64_t> masks) const;

  std::vector<TokenGroup> groups_;
  std::vector<int32_t> special_;  // ascending
  WindowOptions options_;
};

}  // namespace orthant::sae
