#include "models/tokenizer/merge_table.h"

#include <algorithm>
#include <bit>
#include <queue>
#include <tuple>

namespace orthant::models {
namespace {

constexpr int32_t kNone = -1;

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

// Tokens as a doubly linked list, so that a merge is O(1); a merged-away token is kNone.
struct Symbol {
  int32_t token;
  int32_t previous;
  int32_t next;
};

struct Candidate {
  int32_t rank;
  int32_t position;  // of the left token
  int32_t left;
  int32_t right;
  int32_t merged;
  bool operator>(const Candidate& other) const {
    return std::tie(rank, position) > std::tie(other.rank, other.position);
  }
};

}  // namespace

MergeTable::MergeTable(int64_t expected)
    : slots_(std::bit_ceil(static_cast<size_t>(std::max<int64_t>(expected, 8)) * 2)) {}

size_t MergeTable::slot_of(uint64_t pair) const {
  const size_t mask = slots_.size() - 1;
  uint64_t hash = pair * 0x9E3779B97F4A7C15u;
  hash ^= hash >> 32;
  size_t slot = hash & mask;
  while (slots_[slot].pair != kFree && slots_[slot].pair != pair) slot = (slot + 1) & mask;
  return slot;
}

void MergeTable::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.pair != kFree) slots_[slot_of(slot.pair)] = slot;
  }
}

void MergeTable::add(int32_t left, int32_t right, Merge merge) {
  if (static_cast<size_t>(size_ + 1) * 2 > slots_.size()) grow();
  const uint64_t pair = pair_key(left, right);
  Slot& slot = slots_[slot_of(pair)];
  if (slot.pair == pair) return;
  slot = {pair, merge};
  ++size_;
}

Merge MergeTable::find(int32_t left, int32_t right) const {
  const uint64_t pair = pair_key(left, right);
  const Slot& slot = slots_[slot_of(pair)];
  return slot.pair == pair ? slot.merge : Merge{};
}

void MergeTable::apply(std::vector<int32_t>& tokens, size_t first) const {
  const auto count = static_cast<int32_t>(tokens.size() - first);
  if (count < 2) return;
  std::vector<Symbol> symbols(static_cast<size_t>(count));
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto propose = [&](int32_t position) {
    const Symbol& left = symbols[position];
    if (left.next == kNone) return;
    const int32_t right = symbols[left.next].token;
    const Merge merge = find(left.token, right);
    if (merge.rank >= 0) queue.push({merge.rank, position, left.token, right, merge.token});
  };
  for (int32_t i = 0; i < count; ++i) {
    symbols[i] = {tokens[first + i], i - 1, i + 1 < count ? i + 1 : kNone};
  }
  for (int32_t i = 0; i + 1 < count; ++i) propose(i);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.position];
    if (left.token != best.left || left.next == kNone || symbols[left.next].token != best.right) continue;
    symbols[left.next].token = kNone;
    left.token = best.merged;
    left.next = symbols[left.next].next;
    if (left.next != kNone) symbols[left.next].previous = best.position;
    propose(best.position);
    if (left.previous != kNone) propose(left.previous);
  }
  tokens.resize(first);
  for (int32_t i = 0; i != kNone; i = symbols[i].next) tokens.push_back(symbols[i].token);
}

}  // namespace orthant::models
