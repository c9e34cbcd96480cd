#include "kernels/ref/swiglu.h"

#include <cmath>

namespace orthant::kernels::ref {

std::vector<double> swiglu(Matrix<const float> gate, Matrix<const float> up) {
  std::vector<double> out;
  for (int64_t i = 0; i < gate.elements(); ++i) {
    const double g = gate.data[i];
    out.push_back(g / (1.0 + std::exp(-g)) * up.data[i]);
  }
  return out;
}

}  // namespace orthant::kernels::ref
