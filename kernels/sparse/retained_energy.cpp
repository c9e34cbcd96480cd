#include "kernels/sparse/retained_energy.h"

#include <cmath>
#include <span>
#include <vector>

#include "kernels/sparse/kept_inputs.h"

namespace orthant::kernels {
namespace {

struct Sums {
  double squares = 0.0;
  double magnitudes = 0.0;
  void add(std::span<const float> values) {
    for (const float value : values) {
      const double x = value;
      squares += x * x;
      magnitudes += std::abs(x);
    }
  }
};

}  // namespace

RetainedEnergy retained_energy(Matrix<const float> x, int64_t keep, int64_t group) {
  const int64_t width = x.shape[1], kept = kept_count(width, keep, group);
  std::vector<int32_t> inputs(static_cast<size_t>(kept));
  std::vector<float> values(static_cast<size_t>(kept));
  Stream stream;
  Sums all, retained;
  for (int64_t row = 0; row < x.shape[0]; ++row) {
    kept_inputs({x.row(row), {width}}, keep, group, {{inputs.data(), {kept}}, {values.data(), {kept}}},
                stream);
    all.add({x.row(row), static_cast<size_t>(width)});
    retained.add(values);
  }
  const auto share = [](double part, double whole) { return whole > 0.0 ? part / whole : 1.0; };
  return {share(retained.squares, all.squares), share(retained.magnitudes, all.magnitudes)};
}

}  // namespace orthant::kernels
