// The measured peak of f32 fused multiply-adds in the active instruction set, on all OpenMP threads at once.
#pragma once

namespace orthant::benchmarks {

// Gflop/s of all threads together, over about ten milliseconds.
[[nodiscard]] double peak_gflops();

}  // namespace orthant::benchmarks
