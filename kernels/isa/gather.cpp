#include "kernels/isa/gather.h"

#include "kernels/isa/isa.h"

namespace orthant::kernels {

const GatherOps& gather_ops(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return scalar::gather_table();
    case Isa::kAvx2:
      return avx2::gather_table();
    case Isa::kAvx512:
    case Isa::kAmx:
      return avx512::gather_table();
  }
  return scalar::gather_table();
}

const GatherOps& gather_ops() {
  static const GatherOps& ops = gather_ops(active_isa());
  return ops;
}

}  // namespace orthant::kernels
