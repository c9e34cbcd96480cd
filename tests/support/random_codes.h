// Random tensors and sparse codes for tests of kernels: pure functions of their arguments.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/codes/codes.h"
#include "runtime/core/rng.h"

namespace orthant::testing {

inline Memory& test_memory() {
  static Memory memory;
  return memory;
}

template <typename T>
Tensor<T, 1> make_vector(int64_t count) {
  Tensor<T, 1> tensor(test_memory(), "test", {count});
  tensor.zero();
  return tensor;
}

inline Tensor<float, 2> zero_matrix(int64_t rows, int64_t columns) {
  Tensor<float, 2> tensor(test_memory(), "test", {rows, columns});
  tensor.zero();
  return tensor;
}

inline Tensor<float, 2> random_matrix(int64_t rows, int64_t columns, uint64_t seed) {
  Tensor<float, 2> tensor(test_memory(), "test", {rows, columns});
  for (int64_t i = 0; i < rows * columns; ++i) {
    tensor.data()[i] = random_normal(seed, Purpose::kTest, 0, static_cast<uint64_t>(i));
  }
  return tensor;
}

template <int Rank>
Tensor<float, Rank> copy_of(const Tensor<float, Rank>& from) {
  Tensor<float, Rank> copy(test_memory(), "test", from.shape());
  copy_bytes(copy.data(), kCpu, from.data(), kCpu, from.view().bytes());
  return copy;
}

template <typename View>
bool same_bits(const View& a, const View& b) {
  return a.shape == b.shape &&
         (a.elements() == 0 || std::memcmp(a.data, b.data, static_cast<size_t>(a.bytes())) == 0);
}

// Rows of 0 to `most` entries: every seventh row is empty, every fifth value is zero.
inline kernels::Codes random_codes(int64_t rows, int64_t latents, int64_t most, uint64_t seed) {
  kernels::Codes codes(test_memory(), rows, rows * most);
  const kernels::CodesView view = codes.view();
  int64_t entry = 0;
  view.row_offsets.data[0] = 0;
  for (int64_t r = 0; r < rows; ++r) {
    std::vector<int32_t> chosen;
    const int64_t draws = r % 7 == 6 ? 0 : most;
    for (int64_t i = 0; i < draws; ++i) {
      const uint64_t draw = random_u64(seed, Purpose::kTest, 1, static_cast<uint64_t>(r * most + i));
      chosen.push_back(static_cast<int32_t>(draw % static_cast<uint64_t>(latents)));
    }
    std::sort(chosen.begin(), chosen.end());
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
    for (const int32_t latent : chosen) {
      const float value = random_uniform(seed, Purpose::kTest, 2, static_cast<uint64_t>(entry)) + 0.01f;
      view.latents.data[entry] = latent;
      view.values.data[entry] = entry % 5 == 4 ? 0.0f : value;
      ++entry;
    }
    view.row_offsets.data[r + 1] = entry;
  }
  return codes;
}

// Runs `function` with `threads` OpenMP threads.
template <typename Function>
void with_threads(int threads, Function function) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(threads);
  function();
  omp_set_num_threads(before);
}

inline Tensor<float, 2> absolute(const Tensor<float, 2>& matrix) {
  Tensor<float, 2> result = copy_of(matrix);
  for (float& x : result.view().span()) x = std::abs(x);
  return result;
}

inline Vector<const float> as_vector(const Tensor<float, 2>& row) {
  return {row.data(), {row.shape()[1]}, kCpu};
}

}  // namespace orthant::testing
