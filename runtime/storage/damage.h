// What a verification found wrong with a file, and what to do about it.
#pragma once

#include <string>

namespace orthant {

struct Damage {
  std::string file;    // within the directory that was verified, or its path
  std::string reason;  // names offset, expected and found where there is one
  std::string repair;
};

}  // namespace orthant
