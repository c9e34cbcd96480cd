// Which activations of a row pass a threshold, as bits: the first sieve of every selection.
//
// Compiled once per instruction set, the same bits in each. Thread-safe.
#pragma once

#include <stdint.h>

namespace orthant::kernels {

enum class Isa;

// Activation i is relu(products[i] + bias[i]); NaN stays NaN.
struct FilterRow {
  const float* products;  // [count]
  int64_t count;
  const float* bias;        // [count] or null
  const float* scale;       // [count] or null: activations are ranked by activation * scale
  const float* thresholds;  // [count] or null: activations must also be above these
  float threshold;          // of the rank
};

struct FilterOps {
  // Bit i of words[i / 64]: whether element i is above its thresholds or NaN. Writes ceil(count / 64) words.
  void (*above)(const FilterRow& row, uint64_t* words);
  // A value that at least `k` of the keys [count] reach, and with luck few more than `k`: found by bisection,
  // which is many times cheaper than the k-th largest itself. 0 < k <= count; keys are not negative.
  int64_t (*near_kth)(const int64_t* keys, int64_t count, int64_t k);
};

// The table of one instruction set; calling it needs supported_here(isa).
[[nodiscard]] const FilterOps& filter_ops(Isa isa);

namespace scalar {
const FilterOps& filter_table();
}
namespace avx2 {
const FilterOps& filter_table();
}
namespace avx512 {
const FilterOps& filter_table();
}

}  // namespace orthant::kernels
