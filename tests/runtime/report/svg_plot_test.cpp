#include "runtime/report/svg_plot.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/core/error.h"
#include "tests/support/xml_check.h"

namespace orthant {
namespace {

using testing::occurrences;
using testing::xml_problem;

const PlotFrame kFrame = {.title = "Loss & <more>", .x_label = "tokens", .y_label = "nats \"each\""};

TEST(SvgPlot, DrawsEachSeriesWithItsNameAndColour) {
  const std::vector<LineSeries> series = {{"run <a>", 0, {0, 1, 2}, {3, 2, 1}}, {"b", 3, {0, 2}, {1, 2}}};
  const std::string svg = line_plot(kFrame, series);
  EXPECT_EQ(xml_problem(svg), "");
  EXPECT_EQ(occurrences(svg, "<polyline"), 2u);
  EXPECT_NE(svg.find("Loss &amp; &lt;more&gt;"), std::string::npos);
  EXPECT_NE(svg.find("nats &quot;each&quot;"), std::string::npos);
  EXPECT_NE(svg.find("run &lt;a&gt;: 1 at the end"), std::string::npos);
  EXPECT_NE(svg.find("class=\"line s3\""), std::string::npos);
  EXPECT_EQ(svg.find("left out"), std::string::npos);
}

TEST(SvgPlot, CornersOfTheDataAreCornersOfThePlot) {
  const std::string svg = line_plot(kFrame, std::vector<LineSeries>{{"a", 0, {0, 10}, {0, 5}}});
  EXPECT_NE(svg.find("points=\"64.0,266.0 544.0,34.0\""), std::string::npos) << svg;
}

TEST(SvgPlot, NothingToDrawIsSaid) {
  for (const auto& series : {std::vector<LineSeries>{}, std::vector<LineSeries>{{"a", 0, {}, {}}},
                             std::vector<LineSeries>{{"a", 0, {1, 2}, {NAN, INFINITY}}}}) {
    const std::string svg = line_plot(kFrame, series);
    EXPECT_EQ(xml_problem(svg), "");
    EXPECT_NE(svg.find("no data"), std::string::npos);
    EXPECT_EQ(svg.find("nan"), std::string::npos);
  }
}

TEST(SvgPlot, OnePointIsADot) {
  const std::string svg = line_plot(kFrame, std::vector<LineSeries>{{"a", 0, {5}, {7}}});
  EXPECT_EQ(xml_problem(svg), "");
  EXPECT_EQ(occurrences(svg, "<circle"), 1u);
  EXPECT_EQ(occurrences(svg, "<polyline"), 0u);
}

TEST(SvgPlot, MissingValuesBreakTheLineAndAreCounted) {
  const std::vector<LineSeries> series = {{"a", 0, {0, 1, 2, 3, 4}, {1, 2, NAN, 2, 1}}};
  const std::string svg = line_plot(kFrame, series);
  EXPECT_EQ(occurrences(svg, "<polyline"), 2u);
  EXPECT_NE(svg.find("1 values left out (not finite)"), std::string::npos);
  PlotFrame log = kFrame;
  log.y_scale = Scale::kLog;
  const std::string log_svg = line_plot(log, std::vector<LineSeries>{{"a", 0, {0, 1, 2}, {1, 0, -3}}});
  EXPECT_EQ(xml_problem(log_svg), "");
  EXPECT_NE(log_svg.find("2 values left out"), std::string::npos);
}

TEST(SvgPlot, LongSeriesKeepTheirPeaks) {
  LineSeries series{"a", 0, {}, {}};
  for (int i = 0; i < 100000; ++i) {
    series.x.push_back(i);
    series.y.push_back(i == 54321 ? 10.0 : 0.0);
  }
  const std::string svg = line_plot(kFrame, std::vector<LineSeries>{series});
  EXPECT_LT(svg.size(), 40000u);
  EXPECT_NE(svg.find(",34.0 "), std::string::npos);  // the peak reaches the top
}

TEST(SvgPlot, ManySeriesComeAgainWithDashes) {
  std::vector<LineSeries> series;
  for (size_t i = 0; i < 20; ++i) {
    series.push_back({"a rather long name of a run " + std::to_string(i), i, {0, 1}, {0, 1.0 * i}});
  }
  const std::string svg = line_plot(kFrame, series);
  EXPECT_EQ(xml_problem(svg), "");
  EXPECT_NE(svg.find("class=\"line s1 dashed\""), std::string::npos);
}

TEST(SvgPlot, HistogramsOfDifferentEdgesShareAnAxis) {
  PlotFrame frame = kFrame;
  frame.marks = {{"chance", 0.5}};
  const std::vector<HistogramSeries> series = {{"a", 0, {0, 1, 2, 3}, {1, 0, 4}}, {"b", 1, {-1, 1}, {2}}};
  const std::string svg = histogram_plot(frame, series);
  EXPECT_EQ(xml_problem(svg), "");
  EXPECT_EQ(occurrences(svg, "<rect"), 3u);  // empty bars are not drawn
  EXPECT_NE(svg.find("class=\"mark\""), std::string::npos);
  EXPECT_NE(svg.find("a: 2 to 3: 4"), std::string::npos);
}

TEST(SvgPlot, EmptyHistogramsAreSaidAndUnequalListsAreABug) {
  const std::string svg = histogram_plot(kFrame, std::vector<HistogramSeries>{{"a", 0, {}, {}}});
  EXPECT_EQ(xml_problem(svg), "");
  EXPECT_NE(svg.find("no data"), std::string::npos);
  const std::vector<HistogramSeries> unequal = {{"a", 0, {0, 1}, {1, 2}}};
  EXPECT_THROW((void)histogram_plot(kFrame, unequal), Error);
}

}  // namespace
}  // namespace orthant
