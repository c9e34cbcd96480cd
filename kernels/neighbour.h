// The nearest neighbour of each unit row among others by cosine, and the gradient of the OrtSAE penalty on
// pairs.
//
// OrtSAE (arXiv 2509.22033) equations 3 and 4. Ties go to the lowest candidate. No Gram matrix is stored
// beyond a tile. Bits do not depend on tiles, threads or the instruction set. A NaN never wins. Thread-safe
// for distinct outputs. Not Collective.
#pragma once

#include "kernels/gemm.h"

namespace orthant::kernels {

// For each row q of `queries` [n, d]: over the rows j of `candidates` [c, d], except the one numbered
// excluded[q] (-1: none), the largest dot product and its index. Where best_value is not -infinity on entry,
// only larger ones (or equal ones with a lower index) replace it, so that candidates may come in pieces.
// Indices written are candidate_offset + j; excluded[q] is in the same numbering.
void nearest_neighbour(Matrix<const float> queries, const PackedWeights& candidates, int64_t candidate_offset,
                       Vector<const int64_t> excluded, Vector<float> best_value, Vector<int64_t> best_index,
                       Stream& stream);
// In a given instruction set, which the host must support.
void nearest_neighbour(Matrix<const float> queries, const PackedWeights& candidates, int64_t candidate_offset,
                       Vector<const int64_t> excluded, Vector<float> best_value, Vector<int64_t> best_index,
                       Isa isa, Stream& stream);

// unit[i] = rows[i] / max(|rows[i]|, 1e-8), norms[i] = |rows[i]| (f64 sums).
void unit_rows(Matrix<const float> rows, Matrix<float> unit, Vector<float> norms, Stream& stream);

// Adds weight * 2 * s * (unit_partner - s * unit_self) / norm_self to gradient_self, and the mirrored term to
// gradient_partner: both members of a pair receive gradient, as from weight * s^2 with s = cosine. Norms
// below 1e-8 count as 1e-8. The two gradients must be different rows.
void orthogonality_pair_gradient(const float* unit_self, float norm_self, const float* unit_partner,
                                 float norm_partner, float cosine, float weight, int64_t d_model,
                                 float* gradient_self, float* gradient_partner);

}  // namespace orthant::kernels
