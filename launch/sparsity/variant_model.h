// The pruning of each variant of a study, built when its turn comes: with what it calibrates on a text and
// keeps.
//
// Every function is Collective. One thread.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "launch/program/verb.h"
#include "launch/sparsity/calibration_text.h"
#include "launch/sparsity/variants.h"
#include "models/transformer/language_model.h"
#include "runtime/job/cell_records.h"

namespace orthant::launch {

class VariantModel {
 public:
  // All outlive the object; the weights change with the variant where weights are pruned. `text` may be null
  // where no variant calibrates or learns; `stops` says on this rank whether to leave a training, to be
  // continued.
  VariantModel(Invocation& call, models::LanguageModel& model, const models::ModelFile& file, Memory& memory,
               Stream& stream, const CalibrationText* text, std::function<bool()> stops);

  // Makes the model that of the variant. False where it was told to stop: what was learned so far is kept.
  [[nodiscard]] bool become(const Variant& variant);
  // Local. Of the inputs of the variant, or null; valid until the next become().
  [[nodiscard]] const models::ModelPruning* pruning() const { return pruning_ ? &*pruning_ : nullptr; }

 private:
  [[nodiscard]] models::PruningRecipe recipe_of(const Variant& variant) const;
  [[nodiscard]] const CalibrationText& calibration_text() const { return *text_; }
  void prune_weights(const Variant& variant);
  [[nodiscard]] bool learn(const Variant& variant);
  [[nodiscard]] models::CalibratedCenters centers_of(const models::PruningRecipe& recipe,
                                                     const Variant& variant);
  [[nodiscard]] models::CalibratedCenters measured_centers(const models::PruningRecipe& recipe);
  [[nodiscard]] std::string key_of(const Variant& variant, const char* what);

  Invocation& call_;
  const Sparsity& own_;
  models::LanguageModel& model_;
  const models::ModelFile& file_;
  Memory& memory_;
  Stream& stream_;
  std::vector<int64_t> layers_;
  std::vector<models::Projection> projections_;
  const CalibrationText* text_;
  std::function<bool()> stops_;
  std::optional<models::ModelPruning> pruning_;
  bool has_pruned_weights_ = false;
};

}  // namespace orthant::launch
