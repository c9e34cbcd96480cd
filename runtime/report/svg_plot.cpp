#include "runtime/report/svg_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/core/error.h"
#include "runtime/report/html_text.h"
#include "runtime/report/number_text.h"
#include "runtime/report/plot_canvas.h"

namespace orthant {
namespace {

constexpr size_t kColumns = 480;  // that a drawing can show
constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

struct Points {
  std::vector<double> x, y;
};

// Every value, or the least and the greatest of each of kColumns stretches in their order; a stretch without
// a value stays a gap.
Points thinned(const LineSeries& series, const Axis& y_axis) {
  if (series.y.size() <= 2 * kColumns) return {series.x, series.y};
  Points points;
  const auto keep = [&](size_t i) {
    points.x.push_back(series.x[i]);
    points.y.push_back(series.y[i]);
  };
  for (size_t column = 0; column < kColumns; ++column) {
    const size_t begin = series.y.size() * column / kColumns, end = series.y.size() * (column + 1) / kColumns;
    size_t least = end, greatest = end;
    for (size_t i = begin; i < end; ++i) {
      if (!y_axis.holds(series.y[i])) continue;
      if (least == end || series.y[i] < series.y[least]) least = i;
      if (greatest == end || series.y[i] > series.y[greatest]) greatest = i;
    }
    if (least == end) {
      points.x.push_back(series.x[begin]);
      points.y.push_back(kMissing);
      continue;
    }
    keep(std::min(least, greatest));
    if (least != greatest) keep(std::max(least, greatest));
  }
  return points;
}

std::string dot(double x, double y, size_t colour) {
  return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.6\" class=\"dot {}\"/>", x, y,
                     series_classes(colour));
}

// One polyline an unbroken stretch; a stretch of one point is a dot.
std::string stretches(const PlotCanvas& canvas, const Points& points, size_t colour) {
  std::string text, places;
  size_t count = 0;
  double last_x = 0.0, last_y = 0.0;
  const auto flush = [&] {
    if (count == 1) text += dot(last_x, last_y, colour);
    if (count > 1)
      text += fmt::format("<polyline points=\"{}\" class=\"line {}\"/>", places, series_classes(colour));
    places.clear();
    count = 0;
  };
  for (size_t i = 0; i < points.y.size(); ++i) {
    if (!canvas.x_axis().holds(points.x[i]) || !canvas.y_axis().holds(points.y[i])) {
      flush();
      continue;
    }
    last_x = canvas.x_place(points.x[i]);
    last_y = canvas.y_place(points.y[i]);
    places += fmt::format("{}{:.1f},{:.1f}", count == 0 ? "" : " ", last_x, last_y);
    ++count;
  }
  flush();
  return text;
}

std::string last_value_title(const LineSeries& series) {
  for (size_t i = series.y.size(); i-- > 0;) {
    if (std::isfinite(series.y[i]))
      return fmt::format("{}: {} at the end", series.name, number_text(series.y[i]));
  }
  return series.name;
}

// The part of a histogram's outline above one bar.
std::string bar(const PlotCanvas& canvas, const HistogramSeries& series, size_t i) {
  const double left = canvas.x_place(series.edges[i]), right = canvas.x_place(series.edges[i + 1]);
  const double top = canvas.y_place(series.heights[i]);
  return fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" class=\"bar {}\"><title>{}: {} to "
      "{}: "
      "{}</title></rect>",
      left, top, std::max(right - left - 0.5, 0.5), canvas.bottom() - top, series_classes(series.colour),
      escape(series.name), number_text(series.edges[i]), number_text(series.edges[i + 1]),
      number_text(series.heights[i]));
}

void check(const HistogramSeries& series) {
  const bool fits = series.heights.empty() || series.edges.size() == series.heights.size() + 1;
  require(fits, "a histogram has one edge more than bars");
}

}  // namespace

std::string line_plot(const PlotFrame& frame, std::span<const LineSeries> series) {
  std::vector<double> all_x, all_y;
  for (const LineSeries& one : series) {
    require(one.x.size() == one.y.size(), "a line has as many x as y");
    all_x.insert(all_x.end(), one.x.begin(), one.x.end());
    all_y.insert(all_y.end(), one.y.begin(), one.y.end());
  }
  PlotCanvas canvas(frame, Axis(frame.x_scale, all_x, false), Axis(frame.y_scale, all_y, true));
  size_t left_out = 0, drawn = 0;
  std::vector<LegendEntry> legend;
  for (const LineSeries& one : series) {
    for (size_t i = 0; i < one.y.size(); ++i) {
      const bool has_place = canvas.x_axis().holds(one.x[i]) && canvas.y_axis().holds(one.y[i]);
      ++(has_place ? drawn : left_out);
    }
    canvas.add(fmt::format("<g><title>{}</title>{}</g>", escape(last_value_title(one)),
                           stretches(canvas, thinned(one, canvas.y_axis()), one.colour)));
    legend.push_back({one.name, one.colour});
  }
  const char* why = frame.y_scale == Scale::kLog ? "not finite or not positive" : "not finite";
  if (drawn == 0) return canvas.finish(legend, "no data");
  return canvas.finish(legend, left_out == 0 ? "" : fmt::format("{} values left out ({})", left_out, why));
}

std::string histogram_plot(const PlotFrame& frame, std::span<const HistogramSeries> series) {
  std::vector<double> all_x, all_y = {0.0};
  for (const HistogramSeries& one : series) {
    check(one);
    if (one.heights.empty()) continue;
    all_x.insert(all_x.end(), one.edges.begin(), one.edges.end());
    all_y.insert(all_y.end(), one.heights.begin(), one.heights.end());
  }
  const bool is_empty = all_x.empty();
  for (const PlotMark& mark : frame.marks) all_x.push_back(mark.x);
  PlotCanvas canvas(frame, Axis(frame.x_scale, all_x, false), Axis(Scale::kLinear, all_y, true));
  std::vector<LegendEntry> legend;
  for (const HistogramSeries& one : series) {
    for (size_t i = 0; i < one.heights.size(); ++i) {
      const bool has_place = canvas.x_axis().holds(one.edges[i]) && canvas.x_axis().holds(one.edges[i + 1]);
      if (has_place && std::isfinite(one.heights[i]) && one.heights[i] > 0.0) canvas.add(bar(canvas, one, i));
    }
    legend.push_back({one.name, one.colour});
  }
  return canvas.finish(legend, is_empty ? "no data" : "");
}

std::string scatter_plot(const PlotFrame& frame, const ScatterSeries& series) {
  require(series.x.size() == series.y.size() && series.x.size() == series.titles.size(),
          "a point has an x, a y and a title");
  PlotCanvas canvas(frame, Axis(frame.x_scale, series.x, true), Axis(frame.y_scale, series.y, true));
  Points line;
  for (const size_t i : series.line) {
    line.x.push_back(series.x[i]);
    line.y.push_back(series.y[i]);
  }
  canvas.add(stretches(canvas, line, series.colour));
  size_t drawn = 0;
  for (size_t i = 0; i < series.x.size(); ++i) {
    if (!canvas.x_axis().holds(series.x[i]) || !canvas.y_axis().holds(series.y[i])) continue;
    ++drawn;
    canvas.add(fmt::format("<g><title>{}: {}, {}</title>{}</g>", escape(series.titles[i]),
                           number_text(series.x[i]), number_text(series.y[i]),
                           dot(canvas.x_place(series.x[i]), canvas.y_place(series.y[i]), series.colour)));
  }
  const size_t left_out = series.x.size() - drawn;
  if (drawn == 0) return canvas.finish({}, "no data");
  return canvas.finish({}, left_out == 0 ? "" : fmt::format("{} points left out (not finite)", left_out));
}

}  // namespace orthant
