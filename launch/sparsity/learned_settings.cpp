#include "launch/sparsity/learned_settings.h"

namespace orthant::launch {

models::LearnedSettings learned_settings(const Common& common, const Sparsity& own, const Variant& variant) {
  const SparsityLearning& learning = own.learning();
  const models::Transform& transform = variant.method.transform;
  const bool is_global = learning.scheme() == "global";
  models::LearnedSettings settings = is_global ? models::global_settings() : models::LearnedSettings{};
  settings.kind = {.input_shift = transform.center == models::Transform::Center::kLearned,
                   .output_shift = transform.learns_offset,
                   .output_scale = transform.learns_scale,
                   .rank = transform.rank};
  settings.low_rank_start =
      learning.low_rank_start() == "svd" ? models::LowRankStart::kSvd : models::LowRankStart::kRandom;
  if (learning.has_crops()) settings.crops = learning.crops();
  if (learning.has_length()) settings.length = learning.length();
  if (learning.has_accumulation()) settings.accumulation = learning.accumulation();
  settings.held_out = learning.held_out();
  settings.optimiser.lr = learning.lr();
  settings.seed = common.seed();
  return settings;
}

}  // namespace orthant::launch
