// Checks under short names. Where the strict check holds, the loose one must.
#pragma once

#include <gtest/gtest.h>

#include <string_view>

#include "models/tasks/ifeval/following.h"

namespace orthant::testing {

inline bool strictly(const models::Instruction& instruction, std::string_view response) {
  const bool is_strict = models::follows(instruction, response);
  EXPECT_TRUE(!is_strict || models::follows_loosely(instruction, response)) << instruction.id;
  return is_strict;
}

inline bool only_loosely(const models::Instruction& instruction, std::string_view response) {
  return !models::follows(instruction, response) && models::follows_loosely(instruction, response);
}

}  // namespace orthant::testing
