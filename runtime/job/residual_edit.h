// An in-place change of the residual stream at a hook: splice a reconstruction, steer, ablate.
//
// Implemented by sae, called by models during a forward pass. Not Collective; one thread at a time.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/device/tensor.h"

namespace orthant {

class ResidualEdit {
 public:
  virtual ~ResidualEdit() = default;
  // `residual` [tokens, d_model] is changed in place, on the device of the model: its values are there before
  // the call, and the change is complete when the call returns. token_ids and positions [tokens] say what
  // each row is, and sequences [tokens] which sequence of the batch it belongs to; these are on the host.
  virtual void apply(Matrix<float> residual, std::span<const int32_t> token_ids,
                     std::span<const int32_t> positions, std::span<const int32_t> sequences) = 0;
};

}  // namespace orthant
