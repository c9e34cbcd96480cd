// The largest of many scores on the CPU, ties to the first. Thread-safe for distinct outputs.
#pragma once

#include <stdint.h>

namespace orthant::kernels {

// survives[i] = -1 for the `keep` largest of `count` scores, which are at least 0; 0 for the others.
void mark_largest(const int32_t* scores, int64_t count, int64_t keep, int32_t* survives);

}  // namespace orthant::kernels
