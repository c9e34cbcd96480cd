// The real language model that some tests read: named by ORTHANT_TEST_MODEL, absent otherwise.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace orthant::testing {

// Empty when no model is named or the file is absent.
inline std::string test_model() {
  const char* named = std::getenv("ORTHANT_TEST_MODEL");
  return named != nullptr && std::filesystem::exists(named) ? named : "";
}

}  // namespace orthant::testing

#define ORTHANT_NEEDS_TEST_MODEL() \
  if (orthant::testing::test_model().empty()) GTEST_SKIP() << "needs a GGUF model (set ORTHANT_TEST_MODEL)"
