// Moments of max-pooled codes: what effect sizes between two kinds of text are made of.
//
// A snippet is a run of rows of one group; of each latent counts its largest activation in the snippet, 0
// where it does not fire. Sums are in f64 in the order of the snippets, so bits do not depend on threads.
// Latents are dealt to OpenMP's threads. CPU only. Thread-safe for distinct outputs. Not Collective.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/codes/codes.h"

namespace orthant::kernels {

struct SnippetMoments {
  Matrix<double> sums;       // [local_latents, groups] of largest activations
  Matrix<double> squares;    // [local_latents, groups] of their squares
  Vector<int64_t> snippets;  // [groups]
  Vector<float> largest;     // [local_latents] workspace, zeros before and after a call
};

// Adds the snippets that `snippet_of_row` [rows] tells: row r belongs to snippet snippet_of_row[r], of group
// group_of_snippet[snippet_of_row[r]]; -1: to none. Snippets are numbered by their rows, ascending, and end
// with the call. Global latents; those outside [first_latent, first_latent + local_latents) are left out.
void add_snippet_moments(CodesView codes, std::span<const int32_t> snippet_of_row,
                         std::span<const int32_t> group_of_snippet, int64_t first_latent,
                         const SnippetMoments& into);

}  // namespace orthant::kernels
