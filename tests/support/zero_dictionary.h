// A dictionary whose parameters are all zero, for tests that write the few that matter.
#pragma once

#include "sae/dictionary/dictionary.h"

namespace orthant::testing {

[[nodiscard]] inline sae::Dictionary zero_dictionary(const sae::Conventions& conventions, int64_t d_model,
                                                     Share slice, Memory& memory) {
  sae::Dictionary d = sae::allocate_dictionary(conventions, d_model, slice, memory);
  d.encoder.zero();
  d.decoder.zero();
  d.encoder_bias.zero();
  d.decoder_bias.zero();
  return d;
}

}  // namespace orthant::testing
