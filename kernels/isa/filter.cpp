#include "kernels/isa/filter.h"

#include "kernels/isa/isa.h"

namespace orthant::kernels {

const FilterOps& filter_ops(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return scalar::filter_table();
    case Isa::kAvx2:
      return avx2::filter_table();
    case Isa::kAvx512:
    case Isa::kAmx:
      return avx512::filter_table();
  }
  return scalar::filter_table();
}

}  // namespace orthant::kernels
