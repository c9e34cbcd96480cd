// What an encode on CUDA needs beside its operands, laid out in the buffer of an EncodeWorkspace. Pure
// functions of sizes; built with and without CUDA, for plans ask for them too. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

namespace orthant::kernels::cuda {

// How an encode is cut, without influence on what it selects: rows of a block, which are multiplied with that
// many latents at a time, a multiple of 4. A tile of this size stays in the second-level cache of a large
// device and is enough work for it.
struct EncodeTiles {
  int64_t rows = 1024;
  int64_t latents = 8192;
};

// Entries that each row of a block has so far, latents ascending.
struct RowLists {
  int64_t room = 0;                // of a row
  uint32_t* ranks = nullptr;       // [rows, room]
  int32_t* latents = nullptr;      // [rows, room] local numbers, or those of the codes
  float* values = nullptr;         // [rows, room]
  int64_t* counts = nullptr;       // [rows]
  uint32_t* thresholds = nullptr;  // [rows]
};

struct EncodeScratch {
  static constexpr int64_t kWindow = 64;  // blocks between two looks at what outgrew its list

  EncodeTiles tiles;
  int64_t k;
  void* operand;      // [rows, depth]
  float* tile;        // [rows, latents]
  float* lowest;      // [rows, k] activations of the k lowest latents
  RowLists selected;  // room for about twice k
  RowLists beside;    // room for k_beside
  int32_t* outgrown;  // [kWindow] rows of each block with more entries than their lists hold

  [[nodiscard]] static int64_t bytes(EncodeTiles tiles, int64_t k, int64_t depth, int64_t k_beside);
  // `buffer` has that many bytes, from a multiple of 256.
  EncodeScratch(std::byte* buffer, EncodeTiles tiles, int64_t k, int64_t depth, int64_t k_beside);
};

}  // namespace orthant::kernels::cuda
