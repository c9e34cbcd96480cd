#include "sae/measure/splice_edit.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/comm/self.h"
#include "tests/support/random_codes.h"

namespace orthant::sae {
namespace {

constexpr int64_t kWidth = 10;
constexpr int64_t kRows = 600;  // two whole blocks and a part

Dictionary dictionary(Memory& memory) {
  Conventions c;
  c.architecture = Architecture::kTopK;
  c.latents = 24;
  c.k = 3;
  Dictionary d = allocate_dictionary(c, kWidth, {0, c.latents}, memory);
  initialize_dictionary(d, EncoderInit::kUnitTransposed, 3);
  return d;
}

TEST(SpliceEdit, ReplacesRowsByTheirReconstructionAndLeavesExcludedOnes) {
  Memory memory;
  const Dictionary d = dictionary(memory);
  Tensor<float, 2> x = testing::random_matrix(kRows, kWidth, 8);
  for (int64_t c = 0; c < kWidth; ++c) x.view().row(41)[c] *= 100.0f;
  const Tensor<float, 2> before = testing::copy_of(x);
  std::vector<int32_t> ids, positions, sequences(kRows, 0);
  for (int32_t r = 0; r < kRows; ++r) {
    ids.push_back(r % 17);
    positions.push_back(r % 50);
  }
  SpliceEdit edit(d, {.token_ids = {5}, .positions = {0}, .norm_limit = 50.0}, memory);
  edit.apply(x.view(), ids, positions, sequences);
  EXPECT_EQ(edit.rows(), kRows);
  EXPECT_EQ(edit.rows_over_norm_limit(), 1);

  const auto self = make_self_communicator();
  Inference inference(memory, d, 1, *self, 0);
  Tensor<float, 2> out(memory, "test", {1, kWidth});
  for (int64_t r = 0; r < kRows; ++r) {
    const bool is_untouched =
        ids[static_cast<size_t>(r)] == 5 || positions[static_cast<size_t>(r)] == 0 || r == 41;
    inference.encode(before.view().rows(r, 1));
    inference.decode(out.view());
    for (int64_t c = 0; c < kWidth; ++c) {
      if (is_untouched) {
        ASSERT_EQ(x.view().row(r)[c], before.view().row(r)[c]) << r;
      } else {
        ASSERT_NEAR(x.view().row(r)[c], out.view().row(0)[c], 1e-5) << r;
      }
    }
  }
}

TEST(ZeroEdit, ZeroesEveryRow) {
  Tensor<float, 2> x = testing::random_matrix(3, kWidth, 8);
  const std::vector<int32_t> labels(3, 0);
  ZeroEdit().apply(x.view(), labels, labels, labels);
  for (const float value : x.view().span()) EXPECT_EQ(value, 0.0f);
}

}  // namespace
}  // namespace orthant::sae
