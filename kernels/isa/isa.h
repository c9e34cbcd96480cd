// CPU instruction sets: chosen at run time, settable by name, printed in every log.
//
// Kernels with hand-written vector code are compiled once per instruction set (files *_isa.cpp) and reached
// through a table. All instruction sets give the same bits: sums run in one order, in lanes of 16, with fused
// multiply-adds. Thread-safe.
#pragma once

#include <string_view>
#include <vector>

namespace orthant::kernels {

// kAmx is kAvx512 with tiles of bf16 (kernels/screen/screen.h); what has no body of its own there has that of
// kAvx512.
enum class Isa { kScalar, kAvx2, kAvx512, kAmx };

[[nodiscard]] std::string_view name_of(Isa isa);  // "scalar", "avx2", "avx512", "amx"
// For kAmx, also asks the kernel to let this process use tiles.
[[nodiscard]] bool supported_here(Isa isa);
// All that this host supports, simplest first.
[[nodiscard]] std::vector<Isa> supported_isas();
// The best supported one, or the one named by the environment variable ORTHANT_ISA (Error(kConfig) when it is
// unknown or not supported here). Fixed at the first call.
[[nodiscard]] Isa active_isa();

}  // namespace orthant::kernels
