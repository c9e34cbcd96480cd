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
// and sends V/S * elements * (S-1)/S + elements * (S-1)/S values. Room is taken at construction, and bounded,
// because long vectors are summed piece by piece. Sizes that do not fit are bugs of the caller. On the
// device of its memory; not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/comm/communicator.h"

namespace orthant::sae {

// Longer vectors are summed in pieces of so many elements, each with its own exchange.
inline constexpr int64_t kOrderedSumPiece = int64_t{1} << 16;

// Whether V virtual shards can be dealt over `ranks`.
[[nodiscard]] constexpr bool deals_evenly(int virtual_shards, int ranks) {
  return virtual_shards >= ranks && virtual_shards % ranks == 0;
}

class OrderedSum {
 public:
  // For vectors of at most `most_elements`.
  OrderedSum(Memory& memory, std::string_view segment, int64_t most_elements, int virtual_shards,
             Communicator& group);

  // Collective. `out` [elements] on every rank becomes the sum of all V parts; this rank's are `parts` [V/S,
  // elements], which stay as they are.
  void all_reduce(Matrix<const float> parts, Vector<float> out, Stream& stream);

  // Collective. The sum of V scalars; `parts` [V/S] are this rank's, on the host.
  [[nodiscard]] double total(std::span<const double> parts, Stream& stream);

 private:
  void sum_piece(Matrix<const float> parts, int64_t first, Vector<float> out, Stream& stream);
  void sum_piece_alone(Matrix<const float> parts, int64_t first, Vector<float> out, Stream& stream);

  Communicator* group_;
  int virtual_shards_;
  int own_parts_;
  int64_t piece_elements_;
  Tensor<float, 1> gathered_;            // [V * own share of a piece]
  Tensor<float, 1> packed_;              // [V/S * piece], the shares of the receivers one after another
  std::vector<double> scalars_;          // [V]
  std::vector<int64_t> shares_;          // [S] elements of the piece that each rank adds
  std::vector<int64_t> send_counts_;     // [S]
  std::vector<int64_t> receive_counts_;  // [S]
};

}  // namespace orthant::sae
