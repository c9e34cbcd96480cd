#include "runtime/report/plot_canvas.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/report/html_text.h"

namespace orthant {
namespace {

constexpr double kWidth = 560.0;
constexpr double kLeft = 64.0;
constexpr double kRight = 16.0;
constexpr double kTop = 34.0;
constexpr double kPlotHeight = 232.0;
constexpr double kBelow = 44.0;  // tick labels and the label of the x axis
constexpr double kLine = 18.0;   // of the legend
constexpr double kCharacter = 6.4;
constexpr double kSwatch = 24.0;
constexpr size_t kLongestName = 44;

std::string text_element(double x, double y, std::string_view attributes, std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" {}>{}</text>", x, y, attributes, escape(text));
}

std::string line_element(double x1, double y1, double x2, double y2, std::string_view classes) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>", x1, y1,
                     x2, y2, classes);
}

struct Drawing {
  std::string elements;
  double height = 0.0;
};

// Rows of swatches and names from `top` on, broken where a row is full.
Drawing legend_drawing(const std::vector<LegendEntry>& legend, double top) {
  Drawing drawing;
  double x = kLeft, y = top + kLine;
  for (const LegendEntry& entry : legend) {
    const std::string name = shortened(entry.name, kLongestName);
    const double width = kSwatch + kCharacter * static_cast<double>(character_count(name)) + 16.0;
    if (x > kLeft && x + width > kWidth - kRight) {
      x = kLeft;
      y += kLine;
    }
    drawing.elements += fmt::format("<g><title>{}</title>", escape(entry.name)) +
                        line_element(x, y - 4.0, x + 18.0, y - 4.0, "line " + series_classes(entry.colour)) +
                        text_element(x + kSwatch, y, "class=\"legend\"", name) + "</g>";
    x += width;
  }
  drawing.height = legend.empty() ? 0.0 : y - top;
  return drawing;
}

}  // namespace

std::string series_classes(size_t colour) {
  return fmt::format("s{}{}", colour % kPlotColours, colour >= kPlotColours ? " dashed" : "");
}

PlotCanvas::PlotCanvas(const PlotFrame& frame, Axis x, Axis y)
    : frame_(frame), x_(std::move(x)), y_(std::move(y)) {}

double PlotCanvas::x_place(double value) const {
  return kLeft + std::clamp(x_.fraction(value), 0.0, 1.0) * (kWidth - kLeft - kRight);
}

double PlotCanvas::y_place(double value) const {
  return bottom() - std::clamp(y_.fraction(value), 0.0, 1.0) * kPlotHeight;
}

double PlotCanvas::bottom() const {
  return kTop + kPlotHeight;
}

std::string PlotCanvas::grid() const {
  std::string text;
  for (const double tick : y_.ticks()) {
    const double y = y_place(tick);
    text += line_element(kLeft, y, kWidth - kRight, y, "grid") +
            text_element(kLeft - 7.0, y + 4.0, "class=\"tick\" text-anchor=\"end\"", y_.tick_text(tick));
  }
  for (const double tick : x_.ticks()) {
    const double x = x_place(tick);
    text += line_element(x, bottom(), x, bottom() + 4.0, "axis") +
            text_element(x, bottom() + 17.0, "class=\"tick\" text-anchor=\"middle\"", x_.tick_text(tick));
  }
  return text + line_element(kLeft, bottom(), kWidth - kRight, bottom(), "axis");
}

std::string PlotCanvas::labels() const {
  const double middle = (kLeft + kWidth - kRight) / 2.0;
  const double height = kTop + kPlotHeight / 2.0;
  return text_element(kLeft, 18.0, "class=\"title\"", frame_.title) +
         text_element(middle, bottom() + 36.0, "class=\"label\" text-anchor=\"middle\"", frame_.x_label) +
         text_element(
             0.0, 0.0,
             fmt::format(
                 "class=\"label\" text-anchor=\"middle\" transform=\"translate(13 {:.1f}) rotate(-90)\"",
                 height),
             frame_.y_label);
}

std::string PlotCanvas::marks() const {
  std::string text;
  double y = kTop + 10.0;
  for (const PlotMark& mark : frame_.marks) {
    if (!x_.holds(mark.x) || mark.x < x_.low() || mark.x > x_.high()) continue;
    const double x = x_place(mark.x);
    const bool is_right = x > 0.65 * kWidth;
    text += line_element(x, kTop, x, bottom(), "mark") +
            text_element(is_right ? x - 5.0 : x + 5.0, y,
                         is_right ? "class=\"tick\" text-anchor=\"end\"" : "class=\"tick\"", mark.name);
    y += 14.0;
  }
  return text;
}

std::string PlotCanvas::finish(const std::vector<LegendEntry>& legend, std::string_view note) const {
  const double top = bottom() + kBelow;
  const Drawing names = legend_drawing(legend, top);
  double height = top + names.height + 6.0;
  std::string note_text;
  if (!note.empty()) {
    height += 16.0;
    note_text = text_element(kLeft, height - 6.0, "class=\"note\"", note);
  }
  return fmt::format(
      "<svg class=\"plot\" viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">{}{}{}{}{}{}</svg>",
      kWidth, height, escape(frame_.title), labels(), grid(), body_, marks(), names.elements, note_text);
}

}  // namespace orthant
