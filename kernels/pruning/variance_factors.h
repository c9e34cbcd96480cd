// What gives pruned rows the variance they had (activation_sparsity 4, VAR), where they were not pruned each
// by itself: prune_rows measures the same of its own rows. Sums are f64; CPU and CUDA form them in their own
// orders. Rows depend on themselves alone. Thread-safe for distinct outputs.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// factors[r] = sqrt(Var(x[r]) / max(Var(kept[r]), 1e-9)), unbiased, over all columns; 1 where nothing varies
// in x[r]. `x`, `kept` [rows, width], `factors` [rows].
void variance_factors(Matrix<const float> x, Matrix<const float> kept, Vector<float> factors, Stream& stream);

}  // namespace orthant::kernels
