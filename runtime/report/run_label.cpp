#include "runtime/report/run_label.h"

#include <fmt/format.h>

#include "runtime/report/html_text.h"
#include "runtime/report/svg_plot.h"

namespace orthant {

std::string run_label(const RunSummary& run, size_t index) {
  return fmt::format("<span class=\"swatch s{}\"></span><b>{}</b>", index % kPlotColours, escape(run.name));
}

}  // namespace orthant
