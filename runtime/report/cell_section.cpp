#include "runtime/report/cell_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <limits>
#include <string_view>

#include "runtime/report/html_page.h"
#include "runtime/report/html_text.h"
#include "runtime/report/number_text.h"
#include "runtime/report/pareto.h"
#include "runtime/report/svg_plot.h"

namespace orthant {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

struct Measure {
  std::string_view title;
  std::string_view y_label;
  std::array<std::string_view, 2> names;  // of training and of evaluation
};

constexpr std::array<std::string_view, 2> kL0 = {"l0", "core.l0"};
constexpr std::array<Measure, 2> kMeasures = {{
    {"Explained variance against L0", "share of variance", {"explained_variance", "core.explained_variance"}},
    {"CE loss recovered against L0", "share of loss", {"ce.ce_loss_score", "ce_loss_score"}},
}};

using Cell = std::vector<NamedValue>;

std::vector<Cell> cells_of(const RunSummary& run) {
  std::vector<Cell> cells;
  const boost::json::value* list = run.result.if_contains("cells");
  if (list == nullptr || !list->is_array()) return cells;
  for (const boost::json::value& cell : list->get_array()) {
    if (cell.is_object()) cells.push_back(flattened(cell.get_object()));
  }
  return cells;
}

template <size_t N>
double number_of(const Cell& cell, const std::array<std::string_view, N>& names) {
  for (const NamedValue& value : cell) {
    if (value.is_number && std::find(names.begin(), names.end(), value.name) != names.end())
      return value.number;
  }
  return kMissing;
}

// "sae.k 32, seed 1"
std::string point_text(const Cell& cell) {
  constexpr std::string_view kPoint = "point.";
  std::string text;
  for (const NamedValue& value : cell) {
    if (!value.name.starts_with(kPoint)) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", value.name.substr(kPoint.size()),
                        value.is_number ? number_text(value.number) : value.text);
  }
  return text;
}

std::string frontier_list(const std::vector<Cell>& cells, const std::vector<double>& costs,
                          const std::vector<double>& gains, const std::vector<size_t>& frontier) {
  std::string items;
  for (const size_t i : frontier) {
    items += fmt::format("<li>L0 {}, {}: {}</li>", number_text(costs[i]), number_text(gains[i]),
                         escape(point_text(cells[i])));
  }
  return collapsible(fmt::format("On the frontier: {} of {} cells", frontier.size(), cells.size()),
                     fmt::format("<ul>{}</ul>", items));
}

std::string measure_plot(const RunSummary& run, const Measure& measure) {
  const std::vector<Cell> cells = cells_of(run);
  ScatterSeries points{.name = run.name, .x = {}, .y = {}};
  for (const Cell& cell : cells) {
    points.x.push_back(number_of(cell, kL0));
    points.y.push_back(number_of(cell, measure.names));
    points.titles.push_back(point_text(cell));
  }
  const std::vector<size_t> frontier = pareto_frontier(points.x, points.y);
  if (frontier.empty()) return "";
  points.line = frontier;
  const std::string plot = scatter_plot({.title = fmt::format("{}: {}", run.name, measure.title),
                                         .x_label = "L0, latents per token",
                                         .y_label = std::string(measure.y_label)},
                                        points);
  return fmt::format("<div>{}{}</div>", plot, frontier_list(cells, points.x, points.y, frontier));
}

}  // namespace

std::string cell_section(std::span<const RunSummary> runs) {
  std::string plots;
  for (const RunSummary& run : runs) {
    for (const Measure& measure : kMeasures) plots += measure_plot(run, measure);
  }
  return plots.empty() ? "" : fmt::format("<div class=\"plots\">{}</div>\n", plots);
}

}  // namespace orthant
