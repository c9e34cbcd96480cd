// Sums with the same bits at any number of ranks: over a fixed number of virtual shards, in a fixed tree.
//
// A sum over rows or latents is cut into `virtual_shards` V parts that do not depend on the number of ranks
// S; S divides V, and each rank holds V/S consecutive parts. The tree adds adjacent parts pairwise, level by
// level; the last part of a level of odd length moves up unchanged:
//
//   V = 6:   p0 p1 p2 p3 p4 p5  ->  (p0+p1) (p2+p3) (p4+p5)  ->  ((p0+p1)+(p2+p3)) (p4+p5)  ->  their sum
//
// Parts travel by all-to-all and are added where they arrive, so no reducing collective decides the order.
// Each rank adds its share of the elements of all parts and all-gathers the sums: it computes 1/S of the tree
// and sends V/S * elements * (S-1)/S + elements * (S-1)/S values. Sizes that do not fit are bugs of the
// caller. CPU only.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/comm/communicator.h"

namespace orthant {

// Whether V virtual shards can be dealt over `ranks`.
[[nodiscard]] constexpr bool deals_evenly(int virtual_shards, int ranks) {
  return virtual_shards >= ranks && virtual_shards % ranks == 0;
}

// Elements of scratch that ordered_all_reduce() needs: bounded, because long vectors are summed piece by
// piece.
[[nodiscard]] int64_t ordered_sum_scratch_elements(int64_t elements, int virtual_shards, int ranks);

// Collective. `out` [elements] on every rank becomes the sum of all V parts; this rank's are `parts` [V/S,
// elements], which stay as they are. `scratch` holds ordered_sum_scratch_elements() and overlaps neither.
void ordered_all_reduce(Communicator& group, Matrix<const float> parts, int virtual_shards, Vector<float> out,
                        Vector<float> scratch, Stream& stream);
void ordered_all_reduce(Communicator& group, Matrix<const double> parts, int virtual_shards,
                        Vector<double> out, Vector<double> scratch, Stream& stream);

// Collective. The sum of V scalars; `parts` [V/S] are this rank's.
[[nodiscard]] double ordered_sum(Communicator& group, std::span<const double> parts, int virtual_shards,
                                 Stream& stream);

}  // namespace orthant
