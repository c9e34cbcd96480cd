// The common parts of every plot: size, axes with grid, ticks and labels, marks, legend. Not thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/report/svg_plot.h"

namespace orthant {

struct LegendEntry {
  std::string name;
  size_t colour = 0;
};

// CSS classes of a series.
[[nodiscard]] std::string series_classes(size_t colour);

class PlotCanvas {
 public:
  PlotCanvas(const PlotFrame& frame, Axis x, Axis y);

  [[nodiscard]] const Axis& x_axis() const { return x_; }
  [[nodiscard]] const Axis& y_axis() const { return y_; }
  // Places in the drawing; values outside the axes go to their ends.
  [[nodiscard]] double x_place(double value) const;
  [[nodiscard]] double y_place(double value) const;
  [[nodiscard]] double bottom() const;  // y of the x axis
  void add(std::string_view element) { body_ += element; }
  // The whole <svg>. `note` stands below the plot; may be empty.
  [[nodiscard]] std::string finish(const std::vector<LegendEntry>& legend, std::string_view note) const;

 private:
  [[nodiscard]] std::string grid() const;
  [[nodiscard]] std::string labels() const;
  [[nodiscard]] std::string marks() const;

  PlotFrame frame_;
  Axis x_, y_;
  std::string body_;
};

}  // namespace orthant
