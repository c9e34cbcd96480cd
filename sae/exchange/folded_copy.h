// A dictionary made ready to leave: a copy that works on raw activations, and the check that it still says
// the same.
//
// Latents "in export units" are what a plain consumer of the folded weights computes: activations times
// decoder norm where rescale_acts_by_decoder_norm was set, plain activations otherwise. Thread-safe on
// distinct objects.
#pragma once

#include <cstdint>
#include <vector>

#include "sae/dictionary/dictionary.h"

namespace orthant::sae {

// The same slice with scalar input scaling and decoder norms folded into the weights; scalings of single rows
// stay.
[[nodiscard]] Dictionary folded_copy(const Dictionary& dictionary, Memory& memory);

// Latents of raw activations at inference, dense, in f64 and in export units; BatchTopK by its threshold.
// Throws Error(kConfig) when the dictionary is not whole or BatchTopK has no threshold.
struct DenseLatents {
  int64_t rows = 0;
  int64_t latents = 0;
  std::vector<double> pre_activations;  // [rows, latents]
  std::vector<double> limits;  // [rows, latents] above which a pre-activation fires (from which, of topk)
  std::vector<double> values;  // [rows, latents]
};
[[nodiscard]] DenseLatents dense_latents(const Dictionary& dictionary, Matrix<const float> activations);

// Raw activations that make latents fire: b_dec, some decoder rows and noise; a pure function of the
// dictionary.
[[nodiscard]] Tensor<float, 2> fixture_activations(const Dictionary& dictionary, int64_t rows,
                                                   Memory& memory);

struct ReloadCheck {
  double maximum_difference = 0.0;
  int64_t rows = 0;
  int64_t active = 0;     // latents that fired in either dictionary, over all rows
  int64_t undecided = 0;  // fired in one only, both within rounding of the limit: counted by that distance
};
// Compares `reloaded` with the dictionary it was exported from on `rows` fixture rows.
[[nodiscard]] ReloadCheck compare_latents(const Dictionary& original, const Dictionary& reloaded,
                                          int64_t rows);

}  // namespace orthant::sae
