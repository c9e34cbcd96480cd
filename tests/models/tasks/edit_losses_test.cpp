#include "models/tasks/edit_losses.h"

#include <gtest/gtest.h>

#include "runtime/comm/world.h"
#include "tests/support/memory_model.h"

namespace orthant {
namespace {

using models::EditLosses;

class ScaleEdit : public ResidualEdit {
 public:
  explicit ScaleEdit(float factor) : factor_(factor) {}
  void apply(Matrix<float> residual, std::span<const int32_t>, std::span<const int32_t>,
             std::span<const int32_t>) override {
    for (float& value : residual.span()) value *= factor_;
  }

 private:
  float factor_;
};

std::vector<std::vector<int32_t>> sequences() {
  std::vector<std::vector<int32_t>> all;
  for (const size_t length : {7u, 2u, 16u, 3u, 9u, 5u, 12u}) {
    std::vector<int32_t> ids;
    for (size_t i = 0; i < length; ++i) {
      ids.push_back(
          static_cast<int32_t>(random_u64(5, Purpose::kTest, static_cast<uint32_t>(length), i) % 11));
    }
    all.push_back(ids);
  }
  return all;
}

EditLosses measure(World& world, const models::EditLossOptions& options) {
  Memory memory;
  Stream stream;
  const models::Weights weights =
      models::load_weights(testing::MemoryModel(testing::tiny_config()), {}, memory, stream);
  ScaleEdit same(1.0f), zero(0.0f), half(0.5f);
  ResidualEdit* const edits[] = {&same, &zero, &half};
  return measure_edit_losses(weights, sequences(), edits, options, *world.data, memory, stream);
}

TEST(EditLosses, AreMeansOfWhatEachTokenGives) {
  World world = make_self_world();
  models::EditLossOptions options{.hook = {0, models::HookSite::kResidPost}, .batch_tokens = 20};
  options.uncounted = {.token_ids = {4}, .positions = {0}};
  const EditLosses losses = measure(world, options);
  Memory memory;
  Stream stream;
  const models::Weights weights =
      models::load_weights(testing::MemoryModel(testing::tiny_config()), {}, memory, stream);
  models::EditMeter meter(weights, {.tokens = 16, .sequences = 1, .positions = 16}, 1, memory, stream);
  ScaleEdit half(0.5f);
  ResidualEdit* const edits[] = {&half};
  double ce = 0.0, edited = 0.0, kl = 0.0;
  int64_t tokens = 0, uncounted = 0;
  for (const std::vector<int32_t>& ids : sequences()) {
    const std::vector<int64_t> offsets = {0, static_cast<int64_t>(ids.size())};
    const models::EditEffects effects = meter.measure({ids, offsets}, options.hook, edits);
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      if (i == 0 || ids[i] == 4) {
        ++uncounted;
        continue;
      }
      ++tokens;
      ce += effects.original_nll[i];
      edited += effects.edits[0].nll[i];
      kl += effects.edits[0].kl[i];
    }
  }
  ASSERT_GT(tokens, 0);
  EXPECT_EQ(losses.tokens, tokens);
  EXPECT_EQ(losses.uncounted, uncounted);
  EXPECT_NEAR(losses.ce, ce / static_cast<double>(tokens), 1e-12);
  EXPECT_NEAR(losses.edits[2].ce, edited / static_cast<double>(tokens), 1e-12);
  EXPECT_NEAR(losses.edits[2].kl, kl / static_cast<double>(tokens), 1e-12);
  EXPECT_EQ(losses.edits[0].ce, losses.ce);
  EXPECT_EQ(losses.edits[0].kl, 0.0);
  EXPECT_GT(losses.edits[1].kl, losses.edits[2].kl);
}

TEST(EditLosses, DoNotDependOnRanksOrBatches) {
  World self = make_self_world();
  const models::EditLossOptions options{.hook = {1, models::HookSite::kResidPre}, .batch_tokens = 1000};
  const EditLosses one = measure(self, options);
  for (const int ranks : {2, 3, 4, 9}) {  // nine ranks share seven sequences
    run_thread_ranks(ranks, [&](World world) {
      models::EditLossOptions small = options;
      small.batch_tokens = 10;
      const EditLosses many = measure(world, small);
      EXPECT_EQ(many.tokens, one.tokens);
      EXPECT_EQ(many.ce, one.ce);
      for (size_t e = 0; e < 3; ++e) {
        EXPECT_EQ(many.edits[e].ce, one.edits[e].ce);
        EXPECT_EQ(many.edits[e].kl, one.edits[e].kl);
      }
    });
  }
}

}  // namespace
}  // namespace orthant
