#include "launch/sparsity/variants.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "launch/program/refuse.h"
#include "runtime/core/parse_number.h"
#include "runtime/job/nearest_name.h"

namespace orthant::launch {
namespace {

// "criterion" or "criterion+transform+transform".
models::PruningMethod parse_method(const std::string& name) {
  const size_t plus = name.find('+');
  models::PruningMethod method{.criterion = models::parse_criterion(name.substr(0, plus)), .transform = {}};
  if (plus != std::string::npos) method.transform = models::parse_transform(name.substr(plus + 1));
  return method;
}

template <typename List>
std::vector<std::string> or_default(const List& list, const char* single) {
  if (list.empty()) return {single};
  return {list.begin(), list.end()};
}

bool names_all(const google::protobuf::RepeatedPtrField<std::string>& list) {
  return list.empty() || std::find(list.begin(), list.end(), "all") != list.end();
}

class VariantList {
 public:
  VariantList() { variants_.measured.emplace_back(); }

  // `whole`: the method was named as one.
  void add(const Variant& variant, bool whole) {
    if (variant.is_dense() || !seen_.insert(variant.name()).second) return;
    const std::string why = models::conflict_of(variant.method);
    if (why.empty()) return variants_.measured.push_back(variant);
    if (whole) refuse(variant.name(), why, "Choose another pair.");
    variants_.left_out.push_back({variant, why});
  }
  [[nodiscard]] Variants take() { return std::move(variants_); }

 private:
  Variants variants_;
  std::set<std::string> seen_;
};

}  // namespace

std::string Variant::pattern_name() const {
  return models::to_string(pattern);
}
std::string Variant::criterion_name() const {
  return is_dense() ? "none" : std::string(models::name_of(method.criterion));
}
std::string Variant::transform_name() const {
  return is_dense() ? "none" : models::to_string(method.transform);
}
bool Variant::calibrates() const {
  if (is_dense()) return false;
  return method.transform.center == models::Transform::Center::kCalibrated ||
         method.criterion == models::Criterion::kWanda || method.criterion == models::Criterion::kSparseGpt;
}
std::string Variant::name() const {
  if (is_dense()) return "dense";
  const std::string transform = transform_name();
  return fmt::format("{} {}{}", pattern_name(), criterion_name(), transform == "none" ? "" : " " + transform);
}

Variants variants_of(const Sparsity& own) {
  const bool has_product = own.methods().empty() || !own.criteria().empty() || !own.transforms().empty();
  if (own.patterns().empty() &&
      !(own.methods().empty() && own.criteria().empty() && own.transforms().empty()))
    refuse("methods without a pattern", "there is nothing to prune", "Give --patterns, for example 8:16.");
  VariantList list;
  for (const std::string& pattern_name : own.patterns()) {
    const models::SparsityPattern pattern = models::parse_pattern(pattern_name);
    for (const std::string& criterion : or_default(own.criteria(), "magnitude")) {
      for (const std::string& transform : or_default(own.transforms(), "none")) {
        const models::PruningMethod method{models::parse_criterion(criterion),
                                           models::parse_transform(transform)};
        if (has_product) list.add({pattern, method}, false);
      }
    }
    for (const std::string& method : own.methods()) list.add({pattern, parse_method(method)}, true);
  }
  return list.take();
}

std::vector<int64_t> layers_of(const Sparsity& own, int64_t layers) {
  std::vector<int64_t> chosen;
  if (names_all(own.layers())) {
    chosen.resize(static_cast<size_t>(layers));
    std::iota(chosen.begin(), chosen.end(), 0);
    return chosen;
  }
  for (const std::string& name : own.layers()) {
    const auto layer = parse_number<int64_t>(name);
    if (!layer || *layer < 0 || *layer >= layers)
      refuse(fmt::format("layers = {}", name), fmt::format("the model has blocks 0 to {}", layers - 1),
             "Give numbers of blocks, or all.");
    chosen.push_back(*layer);
  }
  std::sort(chosen.begin(), chosen.end());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  return chosen;
}

std::vector<models::Projection> projections_of(const Sparsity& own) {
  std::vector<std::string> known;
  std::vector<models::Projection> chosen;
  for (int p = 0; p < models::kProjections; ++p)
    known.emplace_back(models::name_of(static_cast<models::Projection>(p)));
  for (const std::string& name : own.projections()) {
    if (name == "all" || std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string nearest = nearest_name(name, known);
    refuse(fmt::format("projections = {}", name),
           fmt::format("a block of the model has {}", fmt::join(known, ", ")),
           nearest.empty() ? "Name some of them, or all." : fmt::format("Did you mean {}?", nearest));
  }
  for (int p = 0; p < models::kProjections; ++p) {
    const auto& wanted = own.projections();
    if (names_all(wanted) ||
        std::find(wanted.begin(), wanted.end(), known[static_cast<size_t>(p)]) != wanted.end())
      chosen.push_back(static_cast<models::Projection>(p));
  }
  return chosen;
}

std::vector<std::string> distinct_tasks(const Sparsity& own) {
  std::vector<std::string> tasks;
  for (const std::string& name : own.tasks()) {
    if (std::find(tasks.begin(), tasks.end(), name) == tasks.end()) tasks.push_back(name);
  }
  return tasks;
}

std::string layers_name(const Sparsity& own) {
  return names_all(own.layers()) ? "all" : fmt::format("{}", fmt::join(own.layers(), ","));
}

std::string projections_name(const Sparsity& own) {
  return names_all(own.projections()) ? "all" : fmt::format("{}", fmt::join(own.projections(), ","));
}

}  // namespace orthant::launch
