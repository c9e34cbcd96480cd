#include "runtime/report/result_plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string_view>

#include "runtime/report/svg_plot.h"

namespace orthant {
namespace {

namespace json = boost::json;

// Names of rows, the first that a row has.
constexpr std::string_view kRowNames[] = {"name", "hook", "stage", "group", "from"};

const json::array* rows_in(const json::value& value) {
  const json::array* list = value.if_array();
  const bool holds_rows =
      list != nullptr && !list->empty() &&
      std::all_of(list->begin(), list->end(), [](const json::value& v) { return v.is_object(); });
  return holds_rows ? list : nullptr;
}

std::string row_name(const json::object& row, size_t index) {
  for (const std::string_view name : kRowNames) {
    const json::value* const value = row.if_contains(name);
    if (value == nullptr || !value->is_string()) continue;
    const json::value* const to = name == "from" ? row.if_contains("to") : nullptr;
    const std::string text(value->get_string());
    return to != nullptr && to->is_string() ? text + " → " + std::string(to->get_string()) : text;
  }
  return fmt::format("row {}", index + 1);
}

HistogramSeries percents(const std::string& name, size_t colour, const Histogram& histogram) {
  const double total = std::accumulate(histogram.counts.begin(), histogram.counts.end(), 0.0);
  HistogramSeries series{name, colour, histogram.edges, histogram.counts};
  for (double& height : series.heights) height = total > 0.0 ? 100.0 * height / total : 0.0;
  return series;
}

std::string readable(std::string_view name) {
  std::string text(name);
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

// What a histogram says that it counts; "" where it does not.
std::string counted_in(const json::value& histogram) {
  const json::value* const of = histogram.get_object().if_contains("of");
  return of != nullptr && of->is_string() ? std::string(of->get_string()) : "";
}

// One plot for each histogram of the result itself, with all runs that have it.
std::string own_histograms(std::span<const RunSummary> runs) {
  std::map<std::string, std::vector<HistogramSeries>> plots;
  std::map<std::string, std::string> labels;
  for (size_t i = 0; i < runs.size(); ++i) {
    for (const auto& [key, value] : runs[i].result) {
      if (const auto histogram = histogram_in(value)) {
        const std::string name = readable(std::string_view(key));
        plots[name].push_back(percents(runs[i].name, i, *histogram));
        labels[name] = counted_in(value);
      }
    }
  }
  std::string html;
  for (const auto& [name, series] : plots) {
    html += histogram_plot({.title = name, .x_label = labels[name], .y_label = "%"}, series);
  }
  return html;
}

// One plot for each list of rows with histograms; of many rows some, evenly.
std::string row_histograms(const RunSummary& run) {
  std::string html;
  for (const auto& [key, value] : run.result) {
    const json::array* const rows = rows_in(value);
    if (rows == nullptr) continue;
    std::vector<std::pair<std::string, Histogram>> found;
    std::string label;
    for (size_t i = 0; i < rows->size(); ++i) {
      const json::object& row = (*rows)[i].get_object();
      const json::value* const member = row.if_contains("histogram");
      const auto histogram = member == nullptr ? std::nullopt : histogram_in(*member);
      if (!histogram) continue;
      found.emplace_back(row_name(row, i), *histogram);
      label = counted_in(*member);
    }
    if (found.empty()) continue;
    const size_t shown = std::min(found.size(), kPlotColours);
    std::vector<HistogramSeries> series;
    for (size_t i = 0; i < shown; ++i) {
      const auto& [name, histogram] = found[shown == 1 ? 0 : i * (found.size() - 1) / (shown - 1)];
      series.push_back(percents(name, i, histogram));
    }
    html += histogram_plot({.title = fmt::format("{}: {}", run.name, readable(std::string_view(key))),
                            .x_label = label,
                            .y_label = "%"},
                           series);
  }
  return html;
}

// The number of the block in a hook's name.
std::optional<double> layer_of(const json::object& row) {
  constexpr std::string_view kBlocks = "blocks.";
  const json::value* const hook = row.if_contains("hook");
  if (hook == nullptr || !hook->is_string()) return std::nullopt;
  const std::string_view name = hook->get_string();
  const size_t at = name.rfind(kBlocks);
  if (at == std::string_view::npos) return std::nullopt;
  int layer = 0;
  const char* const begin = name.data() + at + kBlocks.size();
  if (std::from_chars(begin, name.data() + name.size(), layer).ec != std::errc()) return std::nullopt;
  return layer;
}

std::optional<double> position_of(const json::object& row) {
  const json::value* const from = row.if_contains("from");
  return from != nullptr && from->is_number() ? std::optional(from->to_number<double>()) : std::nullopt;
}

using Curves = std::map<std::string, std::vector<LineSeries>>;  // by measure

// Adds every number of the rows of a run's lists as a curve over what `place` says of a row.
void add_curves(const RunSummary& run, size_t index, std::optional<double> (*place)(const json::object&),
                const std::set<std::string>& left_out, Curves& curves) {
  for (const auto& [key, value] : run.result) {
    const json::array* const rows = rows_in(value);
    if (rows == nullptr || rows->size() < 2) continue;
    std::vector<std::pair<double, const json::object*>> points;
    for (const json::value& row : *rows) {
      if (const auto at = place(row.get_object())) points.emplace_back(*at, &row.get_object());
    }
    std::stable_sort(points.begin(), points.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::map<std::string, LineSeries> found;
    for (const auto& [at, row] : points) {
      for (const NamedValue& each : flattened(*row)) {
        if (!each.is_number || left_out.contains(each.name)) continue;
        LineSeries& series = found[each.name];
        series.name = run.name;
        series.colour = index;
        series.x.push_back(at);
        series.y.push_back(each.number);
      }
    }
    for (auto& [name, series] : found) {
      if (series.x.size() >= 2) curves[readable(name)].push_back(std::move(series));
    }
  }
}

std::string curves_over(std::span<const RunSummary> runs, const char* x_label, Scale x_scale,
                        std::optional<double> (*place)(const json::object&),
                        const std::set<std::string>& left_out) {
  Curves curves;
  for (size_t i = 0; i < runs.size(); ++i) add_curves(runs[i], i, place, left_out, curves);
  std::string html;
  for (const auto& [name, series] : curves) {
    html += line_plot({.title = fmt::format("{} over {}s", name, x_label),
                       .x_label = x_label,
                       .y_label = name,
                       .x_scale = x_scale},
                      series);
  }
  return html;
}

}  // namespace

std::string result_plots(std::span<const RunSummary> runs) {
  std::string plots = own_histograms(runs);
  for (const RunSummary& run : runs) plots += row_histograms(run);
  plots += curves_over(runs, "layer", Scale::kLinear, layer_of, {});
  plots += curves_over(runs, "position", Scale::kLog, position_of, {"from", "to", "tokens"});
  return plots.empty() ? "" : fmt::format("<div class=\"plots\">{}</div>\n", plots);
}

}  // namespace orthant
