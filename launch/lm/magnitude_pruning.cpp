#include "launch/lm/magnitude_pruning.h"

namespace orthant::launch {

std::optional<models::ModelPruning> magnitude_pruning(const std::string& pattern,
                                                      const models::ModelFile& file, Memory& memory,
                                                      Stream& stream) {
  models::PruningRecipe recipe;
  if (!pattern.empty()) recipe.pattern = models::parse_pattern(pattern);
  if (recipe.pattern.is_dense()) return std::nullopt;
  for (int64_t layer = 0; layer < file.config().layers; ++layer) recipe.layers.push_back(layer);
  for (int p = 0; p < models::kProjections; ++p)
    recipe.projections.push_back(static_cast<models::Projection>(p));
  return models::build_pruning(recipe, file, {}, memory, stream);
}

}  // namespace orthant::launch
