#include "runtime/job/sweep_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "runtime/core/error.h"
#include "runtime/core/parse_number.h"

namespace orthant {
namespace {

using Points = std::vector<GridPoint>;

[[noreturn]] void refuse(std::string problem, std::string why, std::string suggestion) {
  throw Error(ExitCode::kConfig,
              {.problem = std::move(problem), .why = std::move(why), .suggestion = std::move(suggestion)});
}

[[noreturn]] void refuse_count(double count, int64_t max_cells) {
  refuse(fmt::format("the grid has {:.0f} cells, more than {}", count, max_cells), "axes multiply",
         fmt::format("Leave out values, or allow them with --max_cells={:.0f}.", count));
}

void require_field(const ConfigSchema& schema, const std::string& name) {
  const Field& field = schema.field(name);
  if (!field.is_execution()) return;
  refuse(fmt::format("an axis cannot be of {}", name), "it says how a job runs and not what it is",
         fmt::format("Set it in base {{ {} }}.", schema.verb()));
}

std::vector<std::string> values_of(const SweepRange& range, const Field& field, int64_t max_cells) {
  const bool is_log = range.scale() == "log";
  const bool is_positive = range.from() > 0.0 && range.to() > 0.0;
  if (range.count() < 1 || (!is_log && range.has_scale() && range.scale() != "linear") ||
      (is_log && !is_positive)) {
    refuse(fmt::format("the range of axis {} is not possible", field.name()),
           "it needs count >= 1, scale linear or log, and for log two positive ends",
           "Write range { from: 1e-4 to: 1e-2 count: 3 scale: \"log\" }.");
  }
  if (range.count() > max_cells) refuse_count(static_cast<double>(range.count()), max_cells);
  const bool is_whole = field.type() == "int";
  std::vector<std::string> values;
  for (int64_t i = 0; i < range.count(); ++i) {
    const double t =
        range.count() == 1 ? 0.0 : static_cast<double>(i) / static_cast<double>(range.count() - 1);
    const double value = is_log ? range.from() * std::pow(range.to() / range.from(), t)
                                : range.from() + (range.to() - range.from()) * t;
    values.push_back(is_whole ? fmt::format("{:.0f}", value) : fmt::format("{:.10g}", value));
  }
  return values;
}

std::vector<std::string> values_of(const SweepAxis& axis, const ConfigSchema& schema, int64_t max_cells) {
  require_field(schema, axis.field());
  std::vector<std::string> values(axis.values().begin(), axis.values().end());
  if (axis.has_range() && !values.empty()) {
    refuse(fmt::format("axis {} has both values and a range", axis.field()), "one of them gives its values",
           "Leave one out.");
  }
  if (axis.has_range()) values = values_of(axis.range(), schema.field(axis.field()), max_cells);
  if (values.empty()) {
    refuse(fmt::format("axis {} has no values", axis.field()), "a grid is the product of its axes",
           "Write values: \"...\" or a range.");
  }
  return values;
}

Points points_of(const SweepAxis& axis, const ConfigSchema& schema, int64_t max_cells) {
  Points points;
  for (std::string& value : values_of(axis, schema, max_cells)) {
    points.push_back({.settings = {{axis.field(), std::move(value)}}});
  }
  return points;
}

Points points_of(const SweepZip& zip, const ConfigSchema& schema, int64_t max_cells) {
  if (zip.axis_size() == 0)
    refuse("a zip has no axes", "it sets several fields together", "Write axis {...}.");
  Points points = points_of(zip.axis(0), schema, max_cells);
  for (int a = 1; a < zip.axis_size(); ++a) {
    const std::vector<std::string> values = values_of(zip.axis(a), schema, max_cells);
    if (values.size() != points.size()) {
      refuse(fmt::format("zipped axes have {} and {} values", points.size(), values.size()),
             fmt::format("{} and {} go together one by one", zip.axis(0).field(), zip.axis(a).field()),
             "Give them the same number of values.");
    }
    for (size_t i = 0; i < values.size(); ++i) {
      points[i].settings.emplace_back(zip.axis(a).field(), values[i]);
    }
  }
  return points;
}

Points points_of(const google::protobuf::RepeatedPtrField<SweepPoint>& named, const ConfigSchema& schema) {
  Points points;
  for (const SweepPoint& point : named) {
    GridPoint made{.name = point.name()};
    for (const SweepSetting& setting : point.set()) {
      require_field(schema, setting.field());
      made.settings.emplace_back(setting.field(), setting.value());
    }
    points.push_back(std::move(made));
  }
  return points;
}

// Every factor of the product, in the order of the cells.
std::vector<Points> factors_of(const Sweep& sweep, const ConfigSchema& schema) {
  std::vector<Points> factors;
  for (const SweepAxis& axis : sweep.axis()) factors.push_back(points_of(axis, schema, sweep.max_cells()));
  for (const SweepZip& zip : sweep.zip()) factors.push_back(points_of(zip, schema, sweep.max_cells()));
  if (sweep.point_size() > 0) factors.push_back(points_of(sweep.point(), schema));
  return factors;
}

// Returns the fields that are set.
std::set<std::string> require_set_once(const std::vector<Points>& factors) {
  std::set<std::string> seen;
  for (const Points& points : factors) {
    std::set<std::string> own;
    for (const GridPoint& point : points) {
      std::set<std::string> of_point;
      for (const auto& [field, value] : point.settings) {
        if (!of_point.insert(field).second || seen.contains(field)) {
          refuse(fmt::format("{} is set twice in a cell", field), "two axes or points name it",
                 "Name each field once, or zip the axes.");
        }
      }
      own.merge(of_point);
    }
    seen.merge(own);
  }
  return seen;
}

void require_count(const std::vector<Points>& factors, int64_t max_cells) {
  double count = 1.0;  // a product may leave the range of integers
  for (const Points& points : factors) count *= static_cast<double>(points.size());
  if (count > static_cast<double>(max_cells)) refuse_count(count, max_cells);
}

bool is_same_value(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const std::optional<double> x = parse_finite(a);
  const std::optional<double> y = parse_finite(b);
  return x && y && *x == *y;
}

bool has_setting(const GridPoint& point, const std::string& field, const std::string& value) {
  return std::any_of(point.settings.begin(), point.settings.end(), [&](const auto& setting) {
    return setting.first == field && is_same_value(setting.second, value);
  });
}

bool matches(const GridPoint& point, const SweepExclude& exclude) {
  for (int i = 0; i < exclude.field_size(); ++i) {
    if (!has_setting(point, exclude.field(i), exclude.value(i))) return false;
  }
  return true;
}

void check_excludes(const Sweep& sweep, const ConfigSchema& schema, const std::set<std::string>& set) {
  for (const SweepExclude& exclude : sweep.exclude()) {
    for (const std::string& field : exclude.field()) {
      require_field(schema, field);
      if (set.contains(field)) continue;
      refuse(fmt::format("an exclude names {}", field),
             "no axis and no point sets it, so it leaves nothing out", "Name a field of the grid.");
    }
    if (exclude.field_size() > 0 && exclude.field_size() == exclude.value_size()) continue;
    refuse(fmt::format("an exclude has {} fields and {} values", exclude.field_size(), exclude.value_size()),
           "each field has its value", "Write exclude { field: \"sae.k\" value: \"64\" }.");
  }
}

Points product(const Points& slow, const Points& fast) {
  Points points;
  for (const GridPoint& a : slow) {
    for (const GridPoint& b : fast) {
      GridPoint both = a;
      if (!b.name.empty()) both.name = b.name;
      both.settings.insert(both.settings.end(), b.settings.begin(), b.settings.end());
      points.push_back(std::move(both));
    }
  }
  return points;
}

}  // namespace

std::vector<GridPoint> expand_grid(const Sweep& sweep, const ConfigSchema& schema) {
  const std::vector<Points> factors = factors_of(sweep, schema);
  if (factors.empty()) {
    refuse("the sweep has no cells", "it names no axis and no point",
           "Write axis { field: ... values: ... }.");
  }
  const std::set<std::string> set = require_set_once(factors);
  require_count(factors, sweep.max_cells());
  check_excludes(sweep, schema, set);
  Points points(1);
  for (const Points& factor : factors) points = product(points, factor);
  std::erase_if(points, [&](const GridPoint& point) {
    return std::any_of(sweep.exclude().begin(), sweep.exclude().end(),
                       [&](const SweepExclude& exclude) { return matches(point, exclude); });
  });
  if (points.empty()) refuse("the sweep has no cells", "all of them are excluded", "Exclude less.");
  return points;
}

}  // namespace orthant
