// The gradient of the squared cosines of pairs of rows (OrtSAE, arXiv 2509.22033, equation 3), added up by
// the rows that own it. Not Collective; thread-safe for distinct outputs.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// Pairs of each of some rows: those of entry i are [offsets[i], offsets[i + 1]), in the order in which they
// are added.
struct PairList {
  Vector<const int32_t> rows;     // [entries] of the unit rows, distinct
  Vector<const int64_t> offsets;  // [entries + 1]
  Vector<const int32_t> others;   // [pairs] unit row, or ~v for row v of the visiting rows
  Vector<const float> cosines;    // [pairs]
};

// gradient[r] = the sum over the pairs of row r of share * s * (u_other - s * u_r) / max(norms[r], 1e-8),
// with s the pair's cosine: half of share * d(s^2)/d(row r). Rows that are not listed stay as they are.
// `unit`, `gradient` [rows, d], `norms` [rows], `visiting` [any, d]; all on one device. Each element is one
// chain of fused multiply-adds over the pairs.
void pair_gradients(Matrix<const float> unit, Vector<const float> norms, Matrix<const float> visiting,
                    const PairList& pairs, double share, Matrix<float> gradient, Stream& stream);

}  // namespace orthant::kernels
