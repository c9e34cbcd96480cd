// `lm generate` with pruned inputs and weights of its own for decoded tokens.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "tests/support/program.h"
#include "tests/support/shared_files.h"

namespace orthant {
namespace {

namespace json = boost::json;
using testing::ended;
using testing::Outcome;
using testing::refused;
using testing::run_orthant;

constexpr const char* kModel = "data/models/stories260K/stories260K.bin";  // inputs of 64 and 172

class SparseGeneration : public ::testing::Test {
 protected:
  void SetUp() override { ORTHANT_NEEDS_SHARED(kModel); }
  static Outcome run(const std::string& more) {
    return run_orthant("lm generate --prompt='Once upon a time' --max_new_tokens=24 --json --progress=none" +
                       (" --model=" + (testing::shared_folder() / kModel).string()) + " " + more);
  }
  static json::object result_of(const std::string& more) {
    const Outcome outcome = run(more);
    EXPECT_TRUE(ended(outcome, 0));
    return outcome.code == 0 ? json::parse(outcome.out).as_object() : json::object{};
  }
};

TEST_F(SparseGeneration, KeepsTheTokensWhereNothingIsPruned) {
  const json::object dense = result_of("");
  EXPECT_FALSE(dense.contains("decode_weight_bytes"));
  EXPECT_GT(dense.at("tokens_per_second").to_number<double>(), 0.0);
  EXPECT_EQ(result_of("--sparsity=4:4").at("ids"), dense.at("ids"));
  EXPECT_EQ(result_of("--sparsity=0%").at("ids"), dense.at("ids"));
  EXPECT_EQ(result_of("--weights=f32").at("ids"), dense.at("ids"));
  EXPECT_FALSE(result_of("--sparsity=dense").contains("decode_weight_bytes"));
}

TEST_F(SparseGeneration, PrunesAndStoresWhatItIsToldTo) {
  const json::object f32 = result_of("--sparsity=2:4"), bf16 = result_of("--sparsity=2:4 --weights=bf16"),
                     q8 = result_of("--sparsity=2:4 --weights=q8");
  EXPECT_NE(f32.at("ids"), result_of("").at("ids"));
  const auto bytes = [](const json::object& result) {
    return result.at("decode_weight_bytes").to_number<int64_t>();
  };
  EXPECT_EQ(bytes(f32), 2 * bytes(bf16));
  EXPECT_LT(bytes(q8), bytes(bf16));
  EXPECT_EQ(q8.at("ids").as_array().size(), 24u);
}

TEST_F(SparseGeneration, SaysWhatDecodedTokensRead) {
  const Outcome outcome = run("--sparsity=2:4 --weights=q8");
  EXPECT_NE(outcome.err.find("in q8 beside those of the prompt"), std::string::npos) << outcome.err;
}

TEST_F(SparseGeneration, RefusesPatternsThatDoNotFit) {
  EXPECT_TRUE(refused(run("--sparsity=8:16"), 78, "8:16", "down", "172"));
  EXPECT_TRUE(refused(run("--sparsity=5:4"), 78, "5:4", "cannot survive"));
  EXPECT_TRUE(refused(run("--sparsity=half"), 78, "half", "8:16"));
  EXPECT_TRUE(refused(run("--weights=q4"), 78, "weights", "q4", "q8"));
}

}  // namespace
}  // namespace orthant
