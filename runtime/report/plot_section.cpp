#include "runtime/report/plot_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>
#include <string_view>

#include "runtime/report/html_page.h"
#include "runtime/report/svg_plot.h"

namespace orthant {
namespace {

struct Curve {
  std::string_view title;
  std::string_view y_label;
  std::array<std::string_view, 3> names;  // the first that a run has
  bool may_be_log = false;
};

constexpr std::array<Curve, 6> kCurves = {{
    {"Loss", "loss", {"losses/loss", "losses/overall_loss", "losses/total"}, true},
    {"Reconstruction error",
     "mean squared error",
     {"losses/reconstruction", "losses/mse_loss", "losses/mse"},
     true},
    {"Explained variance", "share of variance", {"metrics/explained_variance"}},
    {"L0", "latents per token", {"sparsity/l0", "metrics/l0"}},
    {"Dead latents", "share of latents", {"sparsity/dead_fraction", "metrics/dead_fraction"}},
    {"Orthogonality penalty", "before its coefficient", {"losses/orthogonality", "metrics/orthogonality"}},
}};

constexpr double kWideRange = 20.0;  // from here on a positive quantity is easier to read on a log axis

LineSeries series_of(const RunSummary& run, size_t index, const std::string& name) {
  return {run.name, index, run.history.tokens, run.history.values.at(name)};
}

bool has_numbers(const RunSummary& run, const std::string& name) {
  const auto found = run.history.values.find(name);
  return found != run.history.values.end() &&
         std::any_of(found->second.begin(), found->second.end(), [](double v) { return std::isfinite(v); });
}

Scale scale_for(const std::vector<LineSeries>& series) {
  double least = INFINITY, greatest = 0.0;
  for (const LineSeries& one : series) {
    for (const double value : one.y) {
      if (!std::isfinite(value)) continue;
      least = std::min(least, value);
      greatest = std::max(greatest, value);
    }
  }
  return least > 0.0 && greatest > kWideRange * least ? Scale::kLog : Scale::kLinear;
}

std::string curve_plot(const Curve& curve, std::span<const RunSummary> runs, std::set<std::string>& shown) {
  std::vector<LineSeries> series;
  for (size_t i = 0; i < runs.size(); ++i) {
    const auto* name = std::find_if(curve.names.begin(), curve.names.end(), [&](std::string_view one) {
      return !one.empty() && has_numbers(runs[i], std::string(one));
    });
    if (name == curve.names.end()) continue;
    series.push_back(series_of(runs[i], i, std::string(*name)));
    shown.insert(std::string(*name));
  }
  if (series.empty()) return "";
  const Scale scale = curve.may_be_log ? scale_for(series) : Scale::kLinear;
  return line_plot({.title = std::string(curve.title),
                    .x_label = "tokens",
                    .y_label = std::string(curve.y_label),
                    .y_scale = scale},
                   series);
}

std::string other_curves(std::span<const RunSummary> runs, const std::set<std::string>& shown) {
  std::set<std::string> names;
  for (const RunSummary& run : runs) {
    for (const auto& [name, values] : run.history.values) {
      if (!shown.contains(name) && has_numbers(run, name)) names.insert(name);
    }
  }
  std::string plots;
  for (const std::string& name : names) {
    std::vector<LineSeries> series;
    for (size_t i = 0; i < runs.size(); ++i) {
      if (has_numbers(runs[i], name)) series.push_back(series_of(runs[i], i, name));
    }
    plots +=
        line_plot({.title = name, .x_label = "tokens", .y_label = name.substr(name.find('/') + 1)}, series);
  }
  if (plots.empty()) return "";
  return collapsible(fmt::format("All other curves ({})", names.size()),
                     fmt::format("<div class=\"plots\">{}</div>", plots));
}

// Counts as percent of all latents, so that dictionaries of different sizes compare.
HistogramSeries shares(const RunSummary& run, size_t index, const Histogram& histogram) {
  const double total = std::accumulate(histogram.counts.begin(), histogram.counts.end(), 0.0);
  HistogramSeries series{run.name, index, histogram.edges, histogram.counts};
  for (double& height : series.heights) height = total > 0.0 ? 100.0 * height / total : 0.0;
  return series;
}

PlotFrame histogram_frame(const std::string& name, std::span<const RunSummary> runs) {
  PlotFrame frame{.title = name, .x_label = name, .y_label = "% of latents"};
  if (name == "log10_density") {
    frame.title = "Firing density";
    frame.x_label = "log₁₀ of the share of tokens in which a latent fires";
  }
  if (name == "max_cosine") {
    frame.title = "Nearest neighbour of each latent";
    frame.x_label = "largest cosine to another decoder direction";
    std::set<double> known;
    for (const RunSummary& run : runs) {
      for (const NamedValue& value : flattened(run.result)) {
        const bool is_chance = value.is_number && (value.name == "chance_mean_cosine" ||
                                                   value.name.ends_with(".chance_mean_cosine"));
        if (is_chance && known.insert(value.number).second)
          frame.marks.push_back({"random directions", value.number});
      }
    }
  }
  return frame;
}

}  // namespace

std::string curve_section(std::span<const RunSummary> runs) {
  std::set<std::string> shown;
  std::string plots;
  for (const Curve& curve : kCurves) plots += curve_plot(curve, runs, shown);
  const std::string more = other_curves(runs, shown);
  return (plots.empty() ? "" : fmt::format("<div class=\"plots\">{}</div>\n", plots)) + more;
}

std::string histogram_section(std::span<const RunSummary> runs) {
  std::set<std::string> names;
  for (const RunSummary& run : runs) {
    for (const auto& [name, histogram] : run.histograms) names.insert(name);
  }
  std::string plots;
  for (const std::string& name : names) {
    std::vector<HistogramSeries> series;
    for (size_t i = 0; i < runs.size(); ++i) {
      const auto found = runs[i].histograms.find(name);
      if (found != runs[i].histograms.end()) series.push_back(shares(runs[i], i, found->second));
    }
    plots += histogram_plot(histogram_frame(name, runs), series);
  }
  return plots.empty() ? "" : fmt::format("<div class=\"plots\">{}</div>\n", plots);
}

}  // namespace orthant
