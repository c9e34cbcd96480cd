#include "kernels/isa/lanes.h"
#include "kernels/sparse/sparse_rows.h"

namespace orthant::kernels {
namespace {

// How each format is read. kTogether: inputs whose rows are read side by side, so that the loads and stores
// of a sum are shared and memory has several streams to follow. kAhead: outputs by which prefetching runs
// ahead of a row, into the rows of the next inputs near the end of it; rows of q8 are short, there it is all
// of it.
struct F32Rows {
  static constexpr int kTogether = 8;
  static constexpr int64_t kAhead = 64;
  static constexpr int64_t kBytes = 4;
  static constexpr int64_t kStep = 16;  // outputs of one cache line
};
struct BF16Rows {
  static constexpr int kTogether = 8;
  static constexpr int64_t kAhead = 128;
  static constexpr int64_t kBytes = 2;
  static constexpr int64_t kStep = 32;
};
struct Q8Rows {
  static constexpr int kTogether = 8;
  static constexpr int64_t kAhead = kSkippingTile;
  static constexpr int64_t kBytes = 1;
  static constexpr int64_t kStep = 64;
};

constexpr int64_t kTileScales = kSkippingTile / kQ8Block;

// The rows of kCount inputs within the tile, and where prefetching goes when they end.
template <int kCount>
struct Together {
  const char* row[kCount];   // of the tile's first output
  const char* next[kCount];  // the same of the inputs after these
  float value[kCount];
  float scales[kCount][kTileScales];  // of q8
};

ORTHANT_LANES_INLINE const char* row_of(const SkippingTile& tile, int64_t index) {
  return static_cast<const char*>(tile.weights) + tile.inputs[index] * tile.row_bytes;
}

// Columns of a tile that are in memory.
ORTHANT_LANES_INLINE int64_t padded_outputs(const SkippingTile& tile) {
  return (tile.count + kOutputPadding - 1) / kOutputPadding * kOutputPadding;
}

ORTHANT_LANES_INLINE void widen_halves(const uint16_t* halves, int64_t count, float* into) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(into + i, load_halves(halves + i));
  if (i == count) return;
  uint16_t padded[kLanes] = {};
  for (int64_t j = i; j < count; ++j) padded[j - i] = halves[j];
  store_first(into + i, load_halves(padded), count - i);
}

template <typename Rows, int kCount>
ORTHANT_LANES_INLINE void gather_rows(const SkippingTile& tile, int64_t first, Together<kCount>& rows) {
  for (int i = 0; i < kCount; ++i) {
    const int64_t after = first + kCount + i < tile.kept ? first + kCount + i : tile.kept - 1;
    rows.row[i] = row_of(tile, first + i) + tile.first * Rows::kBytes;
    rows.next[i] = row_of(tile, after) + tile.first * Rows::kBytes;
    rows.value[i] = tile.values[first + i];
    if constexpr (Rows::kBytes == 1) {
      const char* const scales = row_of(tile, first + i) + tile.scales_at;
      widen_halves(reinterpret_cast<const uint16_t*>(scales) + tile.first / kQ8Block,
                   padded_outputs(tile) / kQ8Block, rows.scales[i]);
    }
  }
}

// Sixteen weights of row i from output o of the tile.
template <typename Rows, int kCount>
ORTHANT_LANES_INLINE Lanes weights_at(const Together<kCount>& rows, int i, int64_t o) {
  const char* const at = rows.row[i] + o * Rows::kBytes;
  if constexpr (Rows::kBytes == 4) return load(reinterpret_cast<const float*>(at));
  if constexpr (Rows::kBytes == 2) return load(reinterpret_cast<const uint16_t*>(at));
  if constexpr (Rows::kBytes == 1) {
    return broadcast(rows.scales[i][o / kQ8Block]) * load(reinterpret_cast<const int8_t*>(at));
  }
}

// sums[o] += value * weight for o in [begin, end), row after row.
template <typename Rows, int kCount>
ORTHANT_LANES_INLINE void add_part(const Together<kCount>& rows, const char* const* ahead, int64_t ahead_by,
                                   int64_t begin, int64_t end, float* sums) {
  constexpr int kPieces = static_cast<int>(Rows::kStep / kLanes);
  for (int64_t o = begin; o < end; o += Rows::kStep) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) __builtin_prefetch(ahead[i] + (o + ahead_by) * Rows::kBytes);
    Lanes total[kPieces];
#pragma GCC unroll 4
    for (int p = 0; p < kPieces; ++p) total[p] = load(sums + o + p * kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) {
      const Lanes value = broadcast(rows.value[i]);
#pragma GCC unroll 4
      for (int p = 0; p < kPieces; ++p) {
        total[p] = fused(value, weights_at<Rows>(rows, i, o + p * kLanes), total[p]);
      }
    }
#pragma GCC unroll 4
    for (int p = 0; p < kPieces; ++p) store(sums + o + p * kLanes, total[p]);
  }
}

template <typename Rows, int kCount>
ORTHANT_LANES_INLINE void add_rows(const SkippingTile& tile, int64_t first, int64_t width, float* sums) {
  Together<kCount> rows;
  gather_rows<Rows>(tile, first, rows);
  const int64_t turn = width > Rows::kAhead ? width - Rows::kAhead : 0;
  add_part<Rows>(rows, rows.row, Rows::kAhead, 0, turn, sums);
  add_part<Rows>(rows, rows.next, -turn, turn, width, sums);
}

template <typename Rows>
void multiply_rows(const SkippingTile& tile) {
  alignas(64) float sums[kSkippingTile];
  const int64_t width = padded_outputs(tile);
  for (int64_t o = 0; o < width; ++o) sums[o] = 0.0f;
  int64_t i = 0;
  for (; i + Rows::kTogether <= tile.kept; i += Rows::kTogether) {
    add_rows<Rows, Rows::kTogether>(tile, i, width, sums);
  }
  for (; i < tile.kept; ++i) add_rows<Rows, 1>(tile, i, width, sums);
  for (int64_t o = 0; o < tile.count; ++o) tile.out[o] = sums[o];
}

void multiply(const SkippingTile& tile) {
  switch (tile.format) {
    case WeightFormat::kF32:
      return multiply_rows<F32Rows>(tile);
    case WeightFormat::kBF16:
      return multiply_rows<BF16Rows>(tile);
    case WeightFormat::kQ8:
      return multiply_rows<Q8Rows>(tile);
  }
}

// Numbers of one register: of wider ones the compiler makes code without vectors.
#if defined(__AVX512F__)
constexpr int kRegister = 16;
#elif defined(__AVX2__)
constexpr int kRegister = 8;
#else
constexpr int kRegister = 4;
#endif

template <int kCount>
using Numbers [[gnu::vector_size(4 * kCount), gnu::aligned(4), gnu::may_alias]] = int32_t;

// ranks[i]: how many of a group come before its element i.
template <int kGroup>
ORTHANT_LANES_INLINE void rank_group(const float* x, int32_t* ranks) {
  constexpr int kPart = kGroup < kRegister ? kGroup : kRegister;
  using Keys = Numbers<kPart>;
  int32_t key[kGroup];
#pragma GCC unroll 8
  for (int part = 0; part < kGroup; part += kPart) {
    *reinterpret_cast<Keys*>(key + part) = *reinterpret_cast<const Keys*>(x + part) & 0x7fffffff;
  }
  Keys lane{};
  for (int i = 0; i < kPart; ++i) lane[i] = i;
#pragma GCC unroll 8
  for (int part = 0; part < kGroup; part += kPart) {
    const Keys keys = *reinterpret_cast<const Keys*>(key + part);
    Keys rank{};
#pragma GCC unroll 32
    for (int j = 0; j < kGroup; ++j) {
      // An equal magnitude of lower index comes first, too.
      rank -= key[j] > keys + (lane > j - part);
    }
    *reinterpret_cast<Keys*>(ranks + part) = rank;
  }
}

// Appends those of sixteen elements whose rank is below `keep`; how many they are.
ORTHANT_LANES_INLINE int64_t append(const float* x, const int32_t* ranks, int64_t keep, int64_t first,
                                    int32_t* inputs, float* values) {
#if defined(__AVX512F__)
  // Compressed in a register: compressing into memory is slow on some processors.
  const __mmask16 kept =
      _mm512_cmplt_epi32_mask(_mm512_loadu_si512(ranks), _mm512_set1_epi32(static_cast<int>(keep)));
  const int64_t count = __builtin_popcount(kept);
  const __m512i numbers =
      _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(first)),
                       _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  const __mmask16 filled = first_lanes(count);
  _mm512_mask_storeu_epi32(inputs, filled, _mm512_maskz_compress_epi32(kept, numbers));
  _mm512_mask_storeu_ps(values, filled, _mm512_maskz_compress_ps(kept, _mm512_loadu_ps(x)));
  return count;
#else
  int64_t count = 0;
  for (int64_t i = 0; i < kLanes; ++i) {
    if (ranks[i] >= keep) continue;
    inputs[count] = static_cast<int32_t>(first + i);
    values[count++] = x[i];
  }
  return count;
#endif
}

#if defined(__AVX512F__)
// For lane i and distance d + 1: where its fellow of the group is, in the keys, or past the end of the group
// in the keys plus one.
template <int kGroup>
struct Fellows {
  alignas(64) int32_t at[kGroup - 1][kLanes];
  constexpr Fellows() : at() {
    for (int d = 0; d < kGroup - 1; ++d) {
      for (int i = 0; i < kLanes; ++i) {
        const int begin = i / kGroup * kGroup, fellow = i % kGroup + d + 1;
        at[d][i] = fellow < kGroup ? begin + fellow : static_cast<int>(kLanes) + begin + fellow - kGroup;
      }
    }
  }
};
template <int kGroup>
constexpr Fellows<kGroup> kFellows;

// Sixteen lanes of whole groups.
template <int kGroup>
ORTHANT_LANES_INLINE void rank_lanes(const float* x, int32_t* ranks) {
  const __m512i ones = _mm512_set1_epi32(1);
  const __m512i keys = _mm512_and_epi32(_mm512_loadu_si512(x), _mm512_set1_epi32(0x7fffffff));
  // An equal magnitude of lower index comes first, too.
  const __m512i before = _mm512_add_epi32(keys, ones);
  __m512i rank = _mm512_setzero_si512();
#pragma GCC unroll 16
  for (int d = 0; d < kGroup - 1; ++d) {
    const __m512i fellow = _mm512_permutex2var_epi32(keys, _mm512_load_si512(kFellows<kGroup>.at[d]), before);
    rank = _mm512_mask_add_epi32(rank, _mm512_cmpgt_epu32_mask(fellow, keys), rank, ones);
  }
  _mm512_storeu_si512(ranks, rank);
}
#else
template <int kGroup>
ORTHANT_LANES_INLINE void rank_lanes(const float* x, int32_t* ranks) {
#pragma GCC unroll 4
  for (int i = 0; i < kLanes; i += kGroup) rank_group<kGroup>(x + i, ranks + i);
}
#endif

// Whole groups in pieces of sixteen elements, or of a group that has more.
template <int kGroup>
bool keep_groups(const float* x, int64_t width, int64_t keep, int32_t* inputs, float* values) {
  constexpr int kPiece = kGroup > kLanes ? kGroup : static_cast<int>(kLanes);
  alignas(64) int32_t ranks[kPiece];
  int64_t kept = 0, first = 0;
  for (; first + kPiece <= width; first += kPiece) {
    if constexpr (kGroup > kLanes) {
      rank_group<kGroup>(x + first, ranks);
    } else {
      rank_lanes<kGroup>(x + first, ranks);
    }
    for (int i = 0; i < kPiece; i += kLanes) {
      kept += append(x + first + i, ranks + i, keep, first + i, inputs + kept, values + kept);
    }
  }
  for (; first < width; first += kGroup) {
    rank_group<kGroup>(x + first, ranks);
    for (int i = 0; i < kGroup; ++i) {
      if (ranks[i] >= keep) continue;
      inputs[kept] = static_cast<int32_t>(first + i);
      values[kept++] = x[first + i];
    }
  }
  return true;
}

bool keep_largest(const float* x, int64_t width, int64_t keep, int64_t group, int32_t* inputs,
                  float* values) {
  switch (group) {
    case 4:
      return keep_groups<4>(x, width, keep, inputs, values);
    case 8:
      return keep_groups<8>(x, width, keep, inputs, values);
    case 16:
      return keep_groups<16>(x, width, keep, inputs, values);
    case 32:
      return keep_groups<32>(x, width, keep, inputs, values);
    default:
      return false;
  }
}

}  // namespace

namespace ORTHANT_ISA {

const SparseRows& sparse_table() {
  static constexpr SparseRows kTable = {.multiply = multiply, .keep_largest = keep_largest};
  return kTable;
}

}  // namespace ORTHANT_ISA
}  // namespace orthant::kernels
