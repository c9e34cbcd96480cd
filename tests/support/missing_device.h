// What a test does that needs a device where there is none.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace orthant::testing {

// To be called in SetUp(): skips the test with the reason, which is a failure with ORTHANT_TEST_STRICT=1.
inline void skip_or_fail(const std::string& reason) {
  const char* const strict = std::getenv("ORTHANT_TEST_STRICT");
  if (strict != nullptr && std::string(strict) == "1") FAIL() << reason;
  GTEST_SKIP() << reason;
}

}  // namespace orthant::testing
