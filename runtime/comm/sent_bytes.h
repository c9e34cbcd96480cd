// How many bytes a rank sends to others in each operation: the rule of every communicator and of the plan.
//
// Sums go by slices: rank r owns share r of the elements, receives that slice from all, and sends the result
// to all. Messages up to kSmallBytes in total skip the slices: every rank gets every part and sums all of it.
// Thread-safe.
#pragma once

#include <cstdint>

#include "runtime/core/share.h"

namespace orthant {

// Parts of all ranks together; below this the number of messages costs more than their length.
inline constexpr int64_t kSmallBytes = 32 << 10;

[[nodiscard]] constexpr bool is_small(int64_t bytes, int ranks) {
  return bytes * ranks <= kSmallBytes;
}

[[nodiscard]] constexpr int64_t all_reduce_sent_bytes(int64_t elements, int64_t width, int ranks, int rank) {
  if (is_small(elements * width, ranks)) return (ranks - 1) * elements * width;
  const int64_t own = share_of(elements, ranks, rank).count;
  return ((elements - own) + own * (ranks - 1)) * width;
}

// Of reduce_scatter, all_gather and broadcast at its root, where each other rank is sent `elements`.
[[nodiscard]] constexpr int64_t to_each_other_sent_bytes(int64_t elements, int64_t width, int ranks) {
  return (ranks - 1) * elements * width;
}

}  // namespace orthant
