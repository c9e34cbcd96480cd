#include "kernels/pruning/pruning_rows.h"

#include "kernels/isa/isa.h"

namespace orthant::kernels {

const PruningRows& pruning_rows(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return scalar::pruning_table();
    case Isa::kAvx2:
      return avx2::pruning_table();
    case Isa::kAvx512:
    case Isa::kAmx:
      return avx512::pruning_table();
  }
  return scalar::pruning_table();
}

const PruningRows& pruning_rows() {
  static const PruningRows& rows = pruning_rows(active_isa());
  return rows;
}

}  // namespace orthant::kernels
