#include <immintrin.h>
#include <omp.h>

#include <chrono>
#include <cmath>

#include "kernels/dense/peak.h"
#include "kernels/isa/isa.h"

namespace orthant::kernels {
namespace {

// Independent chains: more than latency times ports, as many as registers hold.
constexpr int kAvxChains = 12;
constexpr int kAvx512Chains = 24;
constexpr double kIterations = 250e3;

// The empty assembly keeps the compiler from folding a chain, and each chain in a register.
[[gnu::target("avx2,fma")]] void avx2_chains() {
  __m256 sums[kAvxChains];
#pragma GCC unroll 12
  for (int c = 0; c < kAvxChains; ++c) sums[c] = _mm256_set1_ps(1.0f);
  const __m256 factor = _mm256_set1_ps(0.999999f), addend = _mm256_set1_ps(1e-6f);
  for (int i = 0; i < static_cast<int>(kIterations); ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kAvxChains; ++c) {
      sums[c] = _mm256_fmadd_ps(sums[c], factor, addend);
      asm volatile("" : "+x"(sums[c]));
    }
  }
}

[[gnu::target("avx512f")]] void avx512_chains() {
  __m512 sums[kAvx512Chains];
#pragma GCC unroll 24
  for (int c = 0; c < kAvx512Chains; ++c) sums[c] = _mm512_set1_ps(1.0f);
  const __m512 factor = _mm512_set1_ps(0.999999f), addend = _mm512_set1_ps(1e-6f);
  for (int i = 0; i < static_cast<int>(kIterations); ++i) {
#pragma GCC unroll 24
    for (int c = 0; c < kAvx512Chains; ++c) {
      sums[c] = _mm512_fmadd_ps(sums[c], factor, addend);
      asm volatile("" : "+v"(sums[c]));
    }
  }
}

void scalar_chains() {
  float sums[kAvxChains];
  for (float& sum : sums) sum = 1.0f;
  for (int i = 0; i < static_cast<int>(kIterations); ++i) {
    for (float& sum : sums) {
      sum = std::fma(sum, 0.999999f, 1e-6f);
      asm volatile("" : "+x"(sum));
    }
  }
}

double flop_of_a_thread(Isa isa) {
  switch (isa) {
    case Isa::kAvx512:
    case Isa::kAmx:
      return kIterations * kAvx512Chains * 16 * 2;
    case Isa::kAvx2:
      return kIterations * kAvxChains * 8 * 2;
    case Isa::kScalar:
      return kIterations * kAvxChains * 2;
  }
  return 0.0;
}

}  // namespace

double peak_gflops() {
  const Isa isa = active_isa();
  const auto start = std::chrono::steady_clock::now();
#pragma omp parallel
  {
    if (isa == Isa::kAvx512 || isa == Isa::kAmx) avx512_chains();
    if (isa == Isa::kAvx2) avx2_chains();
    if (isa == Isa::kScalar) scalar_chains();
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return flop_of_a_thread(isa) * omp_get_max_threads() / seconds / 1e9;
}

}  // namespace orthant::kernels
