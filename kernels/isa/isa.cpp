#include "kernels/isa/isa.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "runtime/core/error.h"

namespace orthant::kernels {
namespace {

constexpr std::array<Isa, 4> kAll = {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kAmx};

bool tiles_are_permitted() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
         ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

std::string supported_names() {
  std::string names;
  for (const Isa isa : supported_isas())
    names += fmt::format("{}{}", names.empty() ? "" : ", ", name_of(isa));
  return names;
}

Isa choose() {
  const char* asked = std::getenv("ORTHANT_ISA");
  if (asked == nullptr || *asked == '\0') return supported_isas().back();
  for (const Isa isa : supported_isas()) {
    if (name_of(isa) == asked) return isa;
  }
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("ORTHANT_ISA='{}' cannot be used", asked),
               .why = "unknown, or not supported by this processor",
               .suggestion = fmt::format("Unset it or use one of {}.", supported_names())});
}

}  // namespace

std::string_view name_of(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return "scalar";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAmx:
      return "amx";
  }
  return "?";
}

bool supported_here(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return true;
    case Isa::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Isa::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    case Isa::kAmx:
      return supported_here(Isa::kAvx512) && tiles_are_permitted();
  }
  return false;
}

std::vector<Isa> supported_isas() {
  std::vector<Isa> isas;
  for (const Isa isa : kAll) {
    if (supported_here(isa)) isas.push_back(isa);
  }
  return isas;
}

Isa active_isa() {
  static const Isa isa = choose();
  return isa;
}

}  // namespace orthant::kernels
