// CPU instruction sets: chosen at run time, settable by name, printed in every log.
//
// Kernels with hand-written vector code are compiled once per instruction set (files *_isa.cpp) and reached through
// a table. All instruction sets give the same bits: sums run in one order, in lanes of 16, with fused
// multiply-adds. Thread-safe.
#pragma once

#include <string_view>
#include <vector>

namespace orthant::kernels {

enum class Isa { kScalar, kAvx2, kAvx512 };

[[nodiscard]] std::string_view name_of(Isa isa);  // "scalar", "avx2", "avx512"
[[nodiscard]] bool supported_here(Isa isa);
// All that this host supports, simplest first.
[[nodiscard]] std::vector<Isa> supported_isas();
// The best supported one, or the one named by the environment variable ORTHANT_ISA (Error(kConfig) when it is
// unknown or not supported here). Fixed at the first call.
[[nodiscard]] Isa active_isa();

}  // namespace orthant::kernels
