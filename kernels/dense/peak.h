// The measured peak of f32 fused multiply-adds in the active instruction set, on all OpenMP threads at once.
// What speeds are shares of. Main thread only; not Collective.
#pragma once

namespace orthant::kernels {

// Gflop/s of all threads together, over about ten milliseconds.
[[nodiscard]] double peak_gflops();

}  // namespace orthant::kernels
