#include "launch/sparsity/variant_model.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <boost/json/value_to.hpp>

#include "launch/sparsity/learned_settings.h"
#include "models/adapt/train_learned.h"
#include "models/sparsity/center_calibration.h"
#include "models/sparsity/weight_calibration.h"
#include "runtime/core/hash.h"
#include "runtime/core/share.h"
#include "runtime/job/run_directory.h"
#include "runtime/storage/file.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

using models::CropMedians;

models::WeightMethod weight_method(models::Criterion criterion) {
  switch (criterion) {
    case models::Criterion::kWanda:
      return models::WeightMethod::kWanda;
    case models::Criterion::kSparseGpt:
      return models::WeightMethod::kSparseGpt;
    default:
      return models::WeightMethod::kMagnitude;
  }
}

// Leaves a training that is to be continued.
struct StoppedLearning {};

models::WeightPattern weight_pattern(const models::SparsityPattern& pattern) {
  if (pattern.kind == models::SparsityPattern::Kind::kShare)
    return {.groups = {}, .removed_share = pattern.sparsity()};
  return {.groups = {pattern.keep, pattern.group}, .removed_share = 0.0};
}

}  // namespace

VariantModel::VariantModel(Invocation& call, models::LanguageModel& model, const models::ModelFile& file,
                           Memory& memory, Stream& stream, const CalibrationText* text,
                           std::function<bool()> stops)
    : call_(call),
      own_(call.own<Sparsity>()),
      model_(model),
      file_(file),
      memory_(memory),
      stream_(stream),
      layers_(layers_of(own_, model.weights.config.layers)),
      projections_(projections_of(own_)),
      text_(text),
      stops_(std::move(stops)) {}

models::PruningRecipe VariantModel::recipe_of(const Variant& variant) const {
  return {.pattern = variant.pattern,
          .method = variant.method,
          .layers = layers_,
          .projections = projections_,
          .scope = own_.statistics() == "call" ? models::StatisticScope::kCall
                                               : models::StatisticScope::kSequence};
}

bool VariantModel::become(const Variant& variant) {
  pruning_.reset();
  if (has_pruned_weights_) {
    agree(*call_.world.control, "restore the weights",
          [&] { models::restore_weights(model_.weights, file_, memory_, stream_); });
    has_pruned_weights_ = false;
  }
  if (variant.is_dense()) return true;
  if (models::prunes_weights(variant.method.criterion)) {
    has_pruned_weights_ = true;
    agree(*call_.world.control, "prune the weights", [&] { prune_weights(variant); });
    return true;
  }
  const models::PruningRecipe recipe = recipe_of(variant);
  models::CalibratedCenters centers;
  if (variant.method.transform.center == models::Transform::Center::kCalibrated)
    centers = centers_of(recipe, variant);
  agree(*call_.world.control, "prune the model",
        [&] { pruning_ = models::build_pruning(recipe, file_, centers, memory_, stream_); });
  return !variant.method.transform.is_learned() || learn(variant);
}

// Rank 0 learns, and the others read what it kept; where nothing is kept, every rank learns the same.
bool VariantModel::learn(const Variant& variant) {
  ControlGroup& control = *call_.world.control;
  std::optional<models::LearnedTransforms> learned;
  bool stopped = false;
  std::string path;
  const auto task_of = [&] {
    return models::LearnedTask{model_.weights, model_.identity, *pruning_, calibration_text().ids};
  };
  agree(control, "learn the transforms", [&] {
    const models::LearnedSettings settings = learned_settings(call_.common, own_, variant);
    if (call_.run != nullptr) {
      const std::string key = models::key_of(models::learned_origin(task_of(), settings));
      make_directory(call_.run->file("artefacts"));
      path = call_.run->file("artefacts/learned-" + key + ".safetensors");
    }
    if (call_.run != nullptr && control.rank() != 0) return;
    call_.log.info("learning {} on {}", variant.name(), calibration_text().path);
    try {
      learned = models::train_learned(
          task_of(), settings, path,
          [this](const models::LearnedProgress&) {
            if (stops_()) throw StoppedLearning();
          },
          memory_, stream_);
    } catch (const StoppedLearning&) {
      stopped = true;
    }
  });
  if (control.bit_or(stopped ? 1 : 0) != 0) return false;
  agree(control, "mend the pruned model", [&] {
    const models::LearnedSettings settings = learned_settings(call_.common, own_, variant);
    if (!learned) {
      learned = models::load_learned(path, model_.weights.config, settings.kind,
                                     models::learned_origin(task_of(), settings));
    }
    models::apply(*learned, model_.weights, *pruning_, memory_, stream_);
  });
  return true;
}

// Every rank prunes its own copy, with the same bits.
void VariantModel::prune_weights(const Variant& variant) {
  const models::ModelConfig& config = model_.weights.config;
  models::WeightPruning pruning{.method = weight_method(variant.method.criterion),
                                .pattern = weight_pattern(variant.pattern),
                                .chosen = std::vector<std::array<bool, models::kProjections>>(
                                    static_cast<size_t>(config.layers), {{false}})};
  for (const int64_t layer : layers_) {
    for (const models::Projection projection : projections_)
      pruning.chosen[static_cast<size_t>(layer)][static_cast<size_t>(projection)] = true;
  }
  std::vector<std::vector<int32_t>> crops;
  if (models::needs_crops(pruning.method)) {
    call_.log.info("calibrating {} on {}", variant.name(), calibration_text().path);
    for (const auto& window :
         calibration_text().windows(own_.calibration().windows(), own_.calibration().window()))
      crops.emplace_back(window.begin(), window.end());
  }
  models::prune_weights(
      model_.weights, file_, pruning, crops, [](int64_t, int64_t) {}, memory_, stream_);
}

std::string VariantModel::key_of(const Variant& variant, const char* what) {
  const CalibrationText& text = calibration_text();
  const json::object parts{{"what", what},
                           {"model", model_.identity},
                           {"variant", variant.name()},
                           {"layers", layers_name(own_)},
                           {"projections", projections_name(own_)},
                           {"text", text.hash()},
                           {"precision", own_.precision()},
                           {"windows", own_.calibration().windows()},
                           {"window", own_.calibration().window()}};
  return to_hex(hash128(json::serialize(parts)));
}

models::CalibratedCenters VariantModel::centers_of(const models::PruningRecipe& recipe,
                                                   const Variant& variant) {
  ControlGroup& control = *call_.world.control;
  std::string known, key;
  std::optional<CellRecords> kept;
  agree(control, "look for calibrated centres", [&] {
    key = key_of(variant, "centres");
    if (call_.run == nullptr || control.rank() != 0) return;
    kept.emplace(call_.run->file("artefacts"));
    if (const auto record = kept->read(key)) known = json::serialize(record->at("centers"));
  });
  control.broadcast(known, 0);
  if (!known.empty()) return json::value_to<models::CalibratedCenters>(json::parse(known));
  // Through text, as a job that goes on reads them back.
  const std::string text = json::serialize(json::value_from(measured_centers(recipe)));
  agree(control, "keep calibrated centres", [&] {
    if (!kept) return;
    kept->write(
        key,
        {{"variant", variant.name()}, {"text", calibration_text().path}, {"centers", json::parse(text)}});
  });
  return json::value_to<models::CalibratedCenters>(json::parse(text));
}

models::CalibratedCenters VariantModel::measured_centers(const models::PruningRecipe& recipe) {
  ControlGroup& control = *call_.world.control;
  call_.log.info("calibrating the centres of {} on {}", models::to_string(recipe.pattern),
                 calibration_text().path);
  std::string own;
  agree(control, "calibrate centres", [&] {
    const auto windows =
        calibration_text().windows(own_.calibration().windows(), own_.calibration().window());
    const Share share = share_of(static_cast<int64_t>(windows.size()), control.size(), control.rank());
    const auto mine =
        std::span(windows).subspan(static_cast<size_t>(share.first), static_cast<size_t>(share.count));
    own = json::serialize(
        json::value_from(models::crop_medians(model_.weights, file_, recipe, mine, memory_, stream_)));
  });
  std::vector<CropMedians> all;
  for (const std::string& part : control.gather_all(own)) {
    for (auto& crop : json::value_to<std::vector<CropMedians>>(json::parse(part)))
      all.push_back(std::move(crop));
  }
  return models::mean_centers(all);
}

}  // namespace orthant::launch
