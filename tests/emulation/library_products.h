// How many dense products the stand-in for cuBLASLt computed: its bits are those of our own product, so a
// test that wants none of them has to count. Thread-safe.
#pragma once

#include <cstdint>

namespace orthant::testing {

[[nodiscard]] int64_t library_products();

}  // namespace orthant::testing
