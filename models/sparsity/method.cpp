#include "models/sparsity/method.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/core/error.h"
#include "runtime/job/nearest_name.h"

namespace orthant::models {
namespace {

[[noreturn]] void throw_unknown(std::string_view kind, std::string_view name,
                                const std::vector<std::string>& known) {
  const std::string nearest = nearest_name(name, known);
  throw Error(ExitCode::kConfig, {.problem = fmt::format("unknown {} {}", kind, name),
                                  .why = fmt::format("the known ones are {}", fmt::join(known, ", ")),
                                  .suggestion = nearest.empty() ? fmt::format("use one of them")
                                                                : fmt::format("did you mean {}?", nearest)});
}

[[noreturn]] void throw_excluded(std::string_view name, const std::string& why) {
  throw Error(
      ExitCode::kConfig,
      {.problem = fmt::format("transform {}", name), .why = why, .suggestion = "leave one of them out"});
}

void set_center(Transform& transform, Transform::Center center, std::string_view name) {
  if (transform.center != Transform::Center::kNone) throw_excluded(name, "an input has one centre");
  transform.center = center;
}

void add_part(Transform& transform, std::string_view part, std::string_view name) {
  using Center = Transform::Center;
  if (part == "dpts") return set_center(transform, Center::kMedian, name);
  if (part == "dpts_mean") return set_center(transform, Center::kMean, name);
  if (part == "spts") return set_center(transform, Center::kCalibrated, name);
  if (part == "lpts") return set_center(transform, Center::kLearned, name);
  if (part == "pcs") return void(transform.scales_channels = true);
  if (part == "var") return void(transform.restores_variance = true);
  if (part == "ls") return void(transform.learns_scale = true);
  if (part == "offset") return void(transform.learns_offset = true);
  if (part == "rsparse64") return void(transform.rank = 64);
  if (part == "rsparse128" || part == "rsparse") return void(transform.rank = 128);
  throw_unknown("transform", part, transform_parts());
}

}  // namespace

bool prunes_weights(Criterion criterion) {
  return criterion >= Criterion::kWeightMagnitude;
}

const std::vector<std::string>& criterion_names() {
  static const std::vector<std::string> kNames = {"magnitude",        "clact", "amber",    "weight_variance",
                                                  "weight_magnitude", "wanda", "sparsegpt"};
  return kNames;
}

Criterion parse_criterion(std::string_view name) {
  const auto& names = criterion_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw_unknown("criterion", name, names);
  return static_cast<Criterion>(found - names.begin());
}

std::string_view name_of(Criterion criterion) {
  return criterion_names()[static_cast<size_t>(criterion)];
}

const std::vector<std::string>& transform_parts() {
  static const std::vector<std::string> kParts = {"none", "pcs", "dpts",   "dpts_mean", "spts",      "lpts",
                                                  "var",  "ls",  "offset", "rsparse64", "rsparse128"};
  return kParts;
}

Transform parse_transform(std::string_view name) {
  Transform transform;
  if (name == "none") return transform;
  for (size_t first = 0; first <= name.size();) {
    const size_t end = std::min(name.find('+', first), name.size());
    add_part(transform, name.substr(first, end - first), name);
    first = end + 1;
  }
  if (transform.rank > 0 && transform.center != Transform::Center::kNone)
    throw_excluded(name, "the low-rank product of R-Sparse is of inputs without a centre");
  return transform;
}

std::string to_string(const Transform& transform) {
  constexpr const char* kCenters[] = {"", "dpts", "dpts_mean", "spts", "lpts"};
  std::vector<std::string> parts;
  if (transform.scales_channels) parts.emplace_back("pcs");
  if (transform.center != Transform::Center::kNone)
    parts.emplace_back(kCenters[static_cast<int>(transform.center)]);
  if (transform.restores_variance) parts.emplace_back("var");
  if (transform.learns_scale) parts.emplace_back("ls");
  if (transform.learns_offset) parts.emplace_back("offset");
  if (transform.rank > 0) parts.push_back(fmt::format("rsparse{}", transform.rank));
  return parts.empty() ? "none" : fmt::format("{}", fmt::join(parts, "+"));
}

std::string conflict_of(const PruningMethod& method) {
  const Transform& transform = method.transform;
  const Criterion criterion = method.criterion;
  if (prunes_weights(criterion))
    return to_string(transform) == "none" ? "" : "weights are pruned, and inputs need no mending";
  if (transform.scales_channels && criterion != Criterion::kMagnitude) return "PCS is a criterion of its own";
  const bool measures_center =
      transform.center != Transform::Center::kNone && transform.center != Transform::Center::kLearned;
  if (measures_center && transform.is_learned()) return "what is learned has no measured centre beside it";
  return "";
}

}  // namespace orthant::models
