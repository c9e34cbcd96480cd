// Reference of the rounding to bf16, by comparing distances in double precision. Thread-safe.
#pragma once

namespace orthant::kernels::ref {

// The bf16 number nearest to `value`, ties to the even one.
[[nodiscard]] float round_bf16(float value);

}  // namespace orthant::kernels::ref
