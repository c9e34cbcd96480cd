// Plots as inline SVG: lines over a linear or logarithmic axis, overlaid histograms, and points.
//
// A plot is one <svg> element, well-formed XML without a namespace, coloured by the classes `s0`..`s7` (CSS
// variables of the page), so that light, dark and print need no second drawing. What has no place on an axis
// (not finite, or not positive on a logarithmic one) breaks the line and is counted below the plot. Pure;
// thread-safe.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "runtime/report/axis.h"

namespace orthant {

inline constexpr size_t kPlotColours = 8;

// A dashed vertical line.
struct PlotMark {
  std::string name;
  double x = 0.0;
};

struct PlotFrame {
  std::string title;
  std::string x_label;  // with its unit
  std::string y_label;
  Scale x_scale = Scale::kLinear;
  Scale y_scale = Scale::kLinear;
  std::vector<PlotMark> marks = {};
};

struct LineSeries {
  std::string name;
  size_t colour = 0;      // from kPlotColours on, the colours come again with dashes
  std::vector<double> x;  // as long as y, ascending
  std::vector<double> y;
};

struct HistogramSeries {
  std::string name;
  size_t colour = 0;
  std::vector<double> edges;    // ascending, one more than heights
  std::vector<double> heights;  // not negative
};

struct ScatterSeries {
  std::string name;
  size_t colour = 0;
  std::vector<double> x;  // as long as y and titles
  std::vector<double> y;
  std::vector<std::string> titles = {};  // a tooltip each
  std::vector<size_t> line = {};         // places of points that a line joins
};

// Long series are thinned to the least and greatest value of each column of the drawing.
[[nodiscard]] std::string line_plot(const PlotFrame& frame, std::span<const LineSeries> series);
[[nodiscard]] std::string histogram_plot(const PlotFrame& frame, std::span<const HistogramSeries> series);
[[nodiscard]] std::string scatter_plot(const PlotFrame& frame, const ScatterSeries& series);

}  // namespace orthant
