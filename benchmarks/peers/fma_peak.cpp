// Fused multiply-add throughput of the registers, the yardstick of every figure here. Built on demand by
// measure.py as a shared object; needs no library.
#include <immintrin.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

constexpr int kAccumulators = 12;
constexpr long kRounds = 4'000'000;

__attribute__((target("avx2,fma"))) float burn_avx2() {
  __m256 sums[kAccumulators];
  for (int i = 0; i < kAccumulators; ++i) sums[i] = _mm256_set1_ps(static_cast<float>(i));
  const __m256 factor = _mm256_set1_ps(0.999999f);
  for (long round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kAccumulators; ++i) sums[i] = _mm256_fmadd_ps(sums[i], factor, factor);
  }
  for (int i = 1; i < kAccumulators; ++i) sums[0] = _mm256_add_ps(sums[0], sums[i]);
  return _mm256_cvtss_f32(sums[0]);
}

__attribute__((target("avx512f"))) float burn_avx512() {
  __m512 sums[kAccumulators];
  for (int i = 0; i < kAccumulators; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  const __m512 factor = _mm512_set1_ps(0.999999f);
  for (long round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kAccumulators; ++i) sums[i] = _mm512_fmadd_ps(sums[i], factor, factor);
  }
  for (int i = 1; i < kAccumulators; ++i) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  return _mm512_cvtss_f32(sums[0]);
}

}  // namespace

// Floating-point operations a second of `threads` threads together, a multiply-add counted as two. 0: the
// processor has neither AVX2 with FMA nor AVX-512. ORTHANT_ISA=avx2: without AVX-512, as for our own kernels.
extern "C" double fma_peak(int threads) {
  const char* const asked = std::getenv("ORTHANT_ISA");
  const bool is_limited = asked != nullptr && std::strcmp(asked, "avx2") == 0;
  const bool wide = __builtin_cpu_supports("avx512f") && !is_limited;
  if (!wide && !(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))) return 0.0;
  std::vector<float> results(static_cast<size_t>(threads));
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back(
        [&results, wide, t] { results[static_cast<size_t>(t)] = wide ? burn_avx512() : burn_avx2(); });
  }
  for (std::thread& worker : workers) worker.join();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  volatile float kept = results[0];
  (void)kept;
  return 2.0 * kAccumulators * kRounds * (wide ? 16 : 8) * threads / seconds;
}
