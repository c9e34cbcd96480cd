// Counter-based random numbers: every value is a pure function of (seed, purpose, step, index).
//
// There is no state to save, so resume, resharding and thread counts cannot change a draw. The generator is
// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11). Thread-safe.
#pragma once

#include <array>
#include <cstdint>

namespace orthant {

// One independent stream of numbers for each thing that is drawn. Values are part of file and run
// reproducibility: add at the end, never renumber.
enum class Purpose : uint32_t {
  kEncoderInit = 1,
  kDecoderInit = 2,
  kDecoderBiasSample = 3,
  kSampleOrder = 4,
  kLatentPartition = 5,
  kSyntheticDirections = 6,
  kSyntheticFiring = 7,
  kSyntheticMagnitude = 8,
  kSyntheticProbability = 9,
  kGeneration = 10,
  kRandomDictionary = 11,
  kHoldout = 12,
  kTest = 13,
  kEncoderMomentRounding = 14,
  kDecoderMomentRounding = 15,
  kPairedBootstrap = 16,
  kCropStart = 17,
  kCropOrder = 18,
  kLowRankStart = 19,
};

// Four 32-bit words from a 128-bit counter and a 64-bit key.
[[nodiscard]] std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// The four words that belong to (seed, purpose, step, index).
[[nodiscard]] std::array<uint32_t, 4> random_words(uint64_t seed, Purpose purpose, uint32_t step,
                                                   uint64_t index);
[[nodiscard]] uint64_t random_u64(uint64_t seed, Purpose purpose, uint32_t step, uint64_t index);
// Uniform in [0, 1), 24 random bits.
[[nodiscard]] float random_uniform(uint64_t seed, Purpose purpose, uint32_t step, uint64_t index);
// Standard normal by Box-Muller, from double precision.
[[nodiscard]] float random_normal(uint64_t seed, Purpose purpose, uint32_t step, uint64_t index);

}  // namespace orthant
