// The folder of golden outputs and real data beside the checkout. Tests that need it skip with a reason,
// counted, where it is absent. ORTHANT_SHARED names another place.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace orthant::testing {

inline std::filesystem::path shared_folder() {
  const char* named = std::getenv("ORTHANT_SHARED");
  return named != nullptr ? named : ORTHANT_SHARED_DEFAULT;
}

}  // namespace orthant::testing

// Skips the running test unless `relative` exists in the shared folder.
#define ORTHANT_NEEDS_SHARED(relative)                                          \
  if (!std::filesystem::exists(orthant::testing::shared_folder() / (relative))) \
  GTEST_SKIP() << "needs " << (relative) << " of the shared folder (set ORTHANT_SHARED)"
