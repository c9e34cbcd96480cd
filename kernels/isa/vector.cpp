#include "kernels/isa/vector.h"

#include "kernels/isa/isa.h"

namespace orthant::kernels {

const VectorOps& vector_ops(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return scalar::vector_table();
    case Isa::kAvx2:
      return avx2::vector_table();
    case Isa::kAvx512:
    case Isa::kAmx:
      return avx512::vector_table();
  }
  return scalar::vector_table();
}

const VectorOps& vector_ops() {
  static const VectorOps& ops = vector_ops(active_isa());
  return ops;
}

}  // namespace orthant::kernels
