#include "sae/scoring/windows.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/core/error.h"

namespace orthant::sae {
namespace {

// Whether token `at` is part of an occurrence of `form`: [ids].
std::vector<bool> hits_of(const TokenForm& form, std::span<const int32_t> ids) {
  std::vector<bool> hits(ids.size(), false);
  for (size_t at = 0; at + form.size() <= ids.size(); ++at) {
    if (!std::equal(form.begin(), form.end(), ids.begin() + static_cast<int64_t>(at))) continue;
    std::fill_n(hits.begin() + static_cast<int64_t>(at), form.size(), true);
  }
  return hits;
}

}  // namespace

WindowMarker::WindowMarker(std::vector<TokenGroup> groups, std::vector<int32_t> special,
                           WindowOptions options)
    : groups_(std::move(groups)), special_(std::move(special)), options_(options) {
  std::sort(special_.begin(), special_.end());
  if (groups_.empty() || groups_.size() > kMostWindowGroups) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("the vocabulary has {} groups", groups_.size()),
                                    .why = fmt::format("1 to {} can be scored together", kMostWindowGroups),
                                    .suggestion = "Divide it into several vocabularies."});
  }
  for (const TokenGroup& group : groups_) {
    const bool has_empty = std::any_of(group.forms.begin(), group.forms.end(),
                                       [](const TokenForm& form) { return form.empty(); });
    if (!group.forms.empty() && !has_empty) continue;
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("group '{}' has a form without tokens", group.name),
                 .why = "it would match everywhere",
                 .suggestion = "Take the form out of the vocabulary."});
  }
}

bool WindowMarker::is_special(int32_t id) const {
  return std::binary_search(special_.begin(), special_.end(), id);
}

void WindowMarker::mark_form(const TokenForm& form, uint64_t bit, std::span<const int32_t> ids,
                             std::span<uint64_t> masks) const {
  const auto tokens = static_cast<int64_t>(ids.size());
  const std::vector<bool> hits = hits_of(form, ids);
  // Windows that begin and that have ended at each token.
  std::vector<int64_t> begins(ids.size() + 1, 0), ends(ids.size() + 1, 0);
  for (int64_t at = 0; at < tokens; ++at) {
    if (!hits[static_cast<size_t>(at)]) continue;
    auto& begin = begins[static_cast<size_t>(std::max<int64_t>(at - options_.left, 0))];
    auto& end = ends[static_cast<size_t>(std::min(at + options_.right + 1, tokens))];
    begin = options_.compat ? 1 : begin + 1;
    end = options_.compat ? 1 : end + 1;
  }
  int64_t open = 0;
  for (size_t at = 0; at < ids.size(); ++at) {
    open += begins[at] - ends[at];
    if (open > 0 && !is_special(ids[at])) masks[at] |= bit;
  }
}

void WindowMarker::mark(std::span<const int32_t> ids, std::span<uint64_t> masks) const {
  std::fill(masks.begin(), masks.end(), 0);
  for (size_t g = 0; g < groups_.size(); ++g) {
    for (const TokenForm& form : groups_[g].forms) mark_form(form, uint64_t{1} << g, ids, masks);
  }
  for (size_t at = 0; at < ids.size(); ++at) {
    if (is_special(ids[at])) continue;
    masks[at] |= uint64_t{1} << (masks[at] != 0 ? near_bit() : far_bit());
  }
}

}  // namespace orthant::sae
