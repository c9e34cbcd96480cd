// The k largest of each row of a block on CUDA, kept while its tiles pass by: kernels/encode/row_tops.h
// there. For CUDA sources only.
#pragma once

#include "kernels/encode/encode_cuda.h"

namespace orthant::kernels::cuda {

struct EncodeTile;

struct Tops {
  RowLists lists;
  int64_t k;                 // at most the lists' room
  const float* scale;        // [local_latents] or null: ranks are activation * scale
  const uint64_t* eligible;  // bits of the latents that count, or null: all
  float* lowest;             // [rows, k] or null: where the activations of the k lowest latents go
};

// Offers a tile. Lists start empty at the first one. Throws Error(kConfig) for more than kMostSelected.
void take_tops(const EncodeTile& tile, const Tops& tops, Stream& stream);

// What is beside a selection: from the same tiles, to args.beside. No function does anything where that is
// null.
[[nodiscard]] Tops tops_beside(const EncodeArgs& args, const EncodeScratch& scratch);
void take_beside(const EncodeArgs& args, const EncodeTile& tile, const Tops& tops, Stream& stream);
void emit_beside(const EncodeArgs& args, const Tops& tops, int64_t first_row, int64_t rows, Stream& stream);

}  // namespace orthant::kernels::cuda
