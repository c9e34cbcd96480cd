// `ORTHANT_ISA` through the program: it changes the time of a run and no bit of it.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "kernels/isa/isa.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

namespace json = boost::json;
using testing::run_orthant;

// Of few selected among many latents, which is what instruction sets with a screen treat differently; some
// are dead, so that both selections run.
json::value weights_of(const std::string& preset, kernels::Isa isa, const std::string& out) {
  const testing::Outcome outcome = run_orthant(
      "train --sae.preset=" + preset +
          " --source.synthetic.features=60 --source.synthetic.d_model=40 --source.synthetic.l0=4 "
          "--sae.latents=600 --sae.k=5 --sae.dead_feature_threshold=128 --train.batch_tokens=64 "
          "--train.tokens=1280 --train.holdout_rows=256 --progress=none --json --threads=2 --out=" +
          out,
      "env ORTHANT_ISA=" + std::string(kernels::name_of(isa)));
  EXPECT_TRUE(testing::ended(outcome, 0));
  return json::parse(testing::content_of(out + "/result.json")).as_object().at("weights_sha256");
}

TEST(InstructionSet, ChangesNoBitOfTheWeights) {
  for (const std::string preset : {"topk", "batchtopk", "ortsae"}) {
    const testing::TempDir folder;
    const json::value expected = weights_of(preset, kernels::Isa::kScalar, folder.file("scalar"));
    for (const kernels::Isa isa : kernels::supported_isas()) {
      if (isa == kernels::Isa::kScalar) continue;
      EXPECT_EQ(weights_of(preset, isa, folder.file(std::string(kernels::name_of(isa)))), expected)
          << preset << " with " << kernels::name_of(isa);
    }
  }
}

}  // namespace
}  // namespace orthant
