// Blocks of whole sequences of a language model: what the rows of a source are dealt to ranks in, so that no
// window around a token is cut.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/job/activation_source.h"

namespace orthant::sae {

// Local. Block b is samples [offsets[b], offsets[b + 1]) of kTrain; the first `rows` samples of a source in
// file order (0: all). A block ends with the sequence in which it reaches `block_rows` samples, and where
// sample `cut` (0: none), which begins a sequence, comes next. A sequence is
// a row of the language model: it ends where positions do not rise, and may hold several documents. Throws
// Error(kConfig) where the source has no tokens.
[[nodiscard]] std::vector<int64_t> sequence_blocks(ActivationSource& source, int64_t rows, int64_t block_rows,
                                                   int64_t cut = 0);

// Offsets of the sequences among labels that begin with one: [sequences + 1].
[[nodiscard]] std::vector<int64_t> sequence_offsets(const RowLabels& labels);

}  // namespace orthant::sae
