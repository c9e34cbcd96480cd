// The text that calibration and training of mitigations read: never the one that is measured.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "launch/config.pb.h"
#include "models/tokenizer/tokenizer.h"

namespace orthant::launch {

struct CalibrationText {
  std::string path;
  std::vector<int32_t> ids;
  [[nodiscard]] std::string hash() const;  // of the tokens
  // The first `count` non-overlapping windows of `length` tokens, fewer where the text has fewer. Throws
  // Error(kConfig) where it has none.
  [[nodiscard]] std::vector<std::span<const int32_t>> windows(int64_t count, int64_t length) const;
};

// The file that the configuration names, or train.txt or valid.txt where the data of window_perplexity lie.
// Throws Error(kConfig) where there is none of them.
[[nodiscard]] CalibrationText read_calibration_text(const Sparsity& own, const models::Tokenizer& tokenizer);

}  // namespace orthant::launch
