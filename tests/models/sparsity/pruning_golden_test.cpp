// Perplexities of the real model with pruned inputs, beside those of an independent program. Only rows in
// which one block is pruned: over all blocks a difference of a rounding grows into another mask.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>

#include "models/sparsity/build_pruning.h"
#include "models/tasks/window_perplexity.h"
#include "tests/support/golden_model.h"

namespace orthant::models {
namespace {

TEST(PruningGolden, OneBlockHasThePerplexityOfTheReference) {
  ORTHANT_NEEDS_GOLDEN();
  ORTHANT_NEEDS_SHARED("data/wikitext-2/test.txt");
  const boost::json::value golden = testing::golden("pruning.json");
  std::ifstream text(testing::shared_folder() / "data/wikitext-2/test.txt");
  const std::vector<int32_t> all = testing::golden_tokenizer().encode(
      std::string(std::istreambuf_iterator<char>(text), {}).substr(0, 20000));
  constexpr int64_t kWindows = 2, kWindow = 512;
  const auto file = open_model_file(testing::test_model());
  Stream stream;
  int rows = 0;
  for (const auto& [name, row] : golden.at("results").as_object()) {
    const std::string key(name);
    const size_t at = key.find('@');
    if (at == std::string::npos) continue;
    PruningRecipe recipe{.pattern = parse_pattern(key.substr(0, at)),
                         .layers = {std::stoll(key.substr(at + 1))}};
    for (int p = 0; p < kProjections; ++p) recipe.projections.push_back(static_cast<Projection>(p));
    Memory memory;
    const ModelPruning pruning = build_pruning(recipe, *file, {}, memory, stream);
    const std::vector<double> nll = window_nll(
        testing::golden_weights(), all, kWindow, {0, kWindows}, [](int64_t) {}, memory, stream, &pruning);
    const double tolerance = recipe.layers[0] == 0 ? 1e-5 : 1e-3;
    for (size_t w = 0; w < kWindows; ++w)
      EXPECT_NEAR(nll[w], row.at("nll").as_array()[w].as_double(), tolerance) << key << " window " << w;
    ++rows;
  }
  EXPECT_EQ(rows, 5);
}

}  // namespace
}  // namespace orthant::models
