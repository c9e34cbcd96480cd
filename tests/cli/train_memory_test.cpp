// The largest resident size of a training run: it grows with the batch by the rows and their codes, never by
// rows times latents.

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>

#include "tests/support/program.h"

namespace orthant {
namespace {

constexpr int64_t kLatents = 16384;
constexpr int64_t kDModel = 64;
constexpr int64_t kK = 16;
constexpr int64_t kSmallBatch = 512;
constexpr int64_t kLargeBatch = 8192;

int64_t peak_bytes(const std::string& preset, int64_t batch) {
  const testing::Outcome outcome = testing::run_orthant(
      "train --json --progress=none --log_level=warning --threads=1 --source.synthetic.features=256 "
      "--source.synthetic.d_model=" +
      std::to_string(kDModel) + " --source.synthetic.l0=8 --sae.preset=" + preset +
      " --sae.latents=" + std::to_string(kLatents) + " --sae.k=" + std::to_string(kK) +
      " --sae.orthogonality.chunk=1024 --train.holdout_rows=512 --train.batch_tokens=" +
      std::to_string(batch) + " --train.tokens=" + std::to_string(3 * kLargeBatch));
  EXPECT_TRUE(testing::ended(outcome, 0));
  if (outcome.code != 0) return 0;
  return boost::json::parse(outcome.out).at("peak_resident_bytes").as_int64();
}

class TrainMemory : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Presets, TrainMemory, ::testing::Values("topk", "ortsae"),
                         [](const ::testing::TestParamInfo<std::string>& preset) { return preset.param; });

TEST_P(TrainMemory, GrowsByTheBatchAndItsCodesOnly) {
  const int64_t growth = peak_bytes(GetParam(), kLargeBatch) - peak_bytes(GetParam(), kSmallBatch);
  // Of a row: the input, centred and scaled, the reconstruction, its gradient and the residual of AuxK; codes
  // of the main and the auxiliary selection with gradients and order, at up to four times the room of k.
  const int64_t row_bytes = 7 * kDModel * 4 + (5 * kK + 3 * kDModel) * 32;
  constexpr int64_t kHugePages = 32 << 20;  // buffers end on a page of 2 MiB
  EXPECT_LT(growth, (kLargeBatch - kSmallBatch) * row_bytes + kHugePages);
  // The matrix of pre-activations that a plain trainer makes is far from fitting in.
  EXPECT_LT(growth, (kLargeBatch - kSmallBatch) * kLatents * 4 / 4);
}

}  // namespace
}  // namespace orthant
