#include "kernels/sparse/sparse_rows.h"

#include "kernels/isa/isa.h"

namespace orthant::kernels {

const SparseRows& sparse_rows(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return scalar::sparse_table();
    case Isa::kAvx2:
      return avx2::sparse_table();
    case Isa::kAvx512:
    case Isa::kAmx:
      return avx512::sparse_table();
  }
  return scalar::sparse_table();
}

const SparseRows& sparse_rows() {
  static const SparseRows& rows = sparse_rows(active_isa());
  return rows;
}

}  // namespace orthant::kernels
