#include "sae/dictionary/shard_encoder.h"

#include <gtest/gtest.h>

#include "runtime/comm/world.h"
#include "tests/support/random_dictionary.h"

namespace orthant::sae {
namespace {

constexpr int64_t kDepth = 64;
constexpr int64_t kLatents = 640;

// Bytes of what is packed for the product.
int64_t packed_bytes(Architecture architecture, int64_t k) {
  Conventions conventions;
  conventions.architecture = architecture;
  conventions.latents = kLatents;
  conventions.k = k;
  Memory weights, memory = Memory::counting();
  const Dictionary dictionary = allocate_dictionary(conventions, kDepth, {0, kLatents}, weights);
  World world = make_self_world();
  const ShardEncoder encoder(memory, dictionary, 10, k, 0, *world.data, 0);
  for (const SegmentUse& use : memory.segments()) {
    if (use.segment == "packed encoder") return use.allocated_bytes;
  }
  return 0;
}

// A screen holds 16 bits a weight and three floats a latent, the whole product 32 bits a weight; both, two
// numbers a latent of the chosen ones.
TEST(ShardEncoder, ScreensWhereFewOfManyLatentsAreSelected) {
  const bool has_screen = kernels::screen_ops(kernels::active_isa()) != nullptr;
  const int64_t chosen = kLatents * 8, whole = kLatents * kDepth * 4 + chosen;
  const int64_t screened = kLatents * kDepth * 2 + kLatents * 12 + chosen;
  EXPECT_EQ(packed_bytes(Architecture::kTopK, kLatents / 32), has_screen ? screened : whole);
  EXPECT_EQ(packed_bytes(Architecture::kBatchTopK, 1), has_screen ? screened : whole);
  EXPECT_EQ(packed_bytes(Architecture::kTopK, kLatents / 32 + 1), whole);
  EXPECT_EQ(packed_bytes(Architecture::kStandard, 1), whole);
}

}  // namespace
}  // namespace orthant::sae
