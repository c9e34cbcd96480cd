// The vocabulary of a scoring job: words from a file, as token ids of a model.
#pragma once

#include <string>
#include <vector>

#include "models/tokenizer/tokenizer.h"
#include "sae/scoring/windows.h"

namespace orthant::launch {

// Groups of the Protobuf text file at `path` (launch/score/vocabulary.proto), each form tokenized by itself
// without BOS; forms with equal tokens count once. Throws Error(kIo) where it cannot be read, Error(kConfig)
// with line or group for what is no vocabulary and for a form without tokens.
[[nodiscard]] std::vector<sae::TokenGroup> read_vocabulary(const std::string& path,
                                                           const models::Tokenizer& tokenizer);

}  // namespace orthant::launch
