#include "kernels/transformer/transformer_rows.h"

#include "kernels/isa/isa.h"

namespace orthant::kernels {

const TransformerRows& transformer_rows(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return scalar::transformer_table();
    case Isa::kAvx2:
      return avx2::transformer_table();
    case Isa::kAvx512:
    case Isa::kAmx:
      return avx512::transformer_table();
  }
  return scalar::transformer_table();
}

const TransformerRows& transformer_rows() {
  static const TransformerRows& rows = transformer_rows(active_isa());
  return rows;
}

}  // namespace orthant::kernels
