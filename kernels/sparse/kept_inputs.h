// N:M selection for one row of activations: which inputs a skipping product reads.
//
// Of every aligned group of `group` inputs the `keep` of largest magnitude stay; ties go to the lowest index;
// a NaN counts as larger than infinity: what prune_rows (kernels/pruning/prune_rows.h) leaves of a row
// without centre and gains. The lists have a fixed size and are in ascending order. The result does not
// depend on device or instruction set. Thread-safe for distinct outputs.
#pragma once

#include "kernels/pruning/row_producer.h"

namespace orthant::kernels {

// Inputs in ascending order and their activations, both [kept].
struct KeptInputs {
  Vector<int32_t> inputs;
  Vector<float> values;
  [[nodiscard]] int64_t count() const { return inputs.shape[0]; }
};

[[nodiscard]] inline int64_t kept_count(int64_t width, int64_t keep, int64_t group) {
  return width / group * keep;
}

// `x` [width], a multiple of `group`; 0 <= keep <= group; `into` has kept_count(width, keep, group) entries.
// With a producer, of the row that it makes of x, which is not stored elsewhere.
void kept_inputs(Vector<const float> x, int64_t keep, int64_t group, KeptInputs into, Stream& stream,
                 const RowProducer& producer = {});

}  // namespace orthant::kernels
