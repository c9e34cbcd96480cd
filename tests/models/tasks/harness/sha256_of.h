// SHA-256 of texts with a NUL between them, to compare many with what another program made of them.
#pragma once

#include <span>
#include <string>

#include "runtime/core/hash.h"

namespace orthant::testing {

inline std::string sha256_of(std::span<const std::string> texts) {
  Sha256 hash;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (i > 0) hash.update("", 1);
    hash.update(texts[i].data(), static_cast<int64_t>(texts[i].size()));
  }
  return hash.hex();
}

}  // namespace orthant::testing
