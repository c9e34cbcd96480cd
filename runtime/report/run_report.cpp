#include "runtime/report/run_report.h"

#include <fmt/format.h>

#include "runtime/report/cell_section.h"
#include "runtime/report/context_section.h"
#include "runtime/report/html_page.h"
#include "runtime/report/html_text.h"
#include "runtime/report/plot_section.h"
#include "runtime/report/result_plots.h"
#include "runtime/report/result_section.h"
#include "runtime/report/run_label.h"
#include "runtime/report/settings_section.h"

namespace orthant {
namespace {

std::string lead(std::span<const RunSummary> runs, const std::string& written) {
  std::string items;
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string verb = runs[i].verb();
    items += fmt::format("<li>{} <span class=\"faint\">{}</span></li>", run_label(runs[i], i),
                         escape(verb.empty() ? runs[i].path : verb));
  }
  return fmt::format("<p class=\"faint\">{}. {}</p><ul class=\"runs\">{}</ul>",
                     runs.size() == 1 ? "One run" : fmt::format("{} runs side by side", runs.size()),
                     escape(written), items);
}

std::string remarks(std::span<const RunSummary> runs) {
  std::string items;
  for (const RunSummary& run : runs) {
    for (const std::string& remark : run.remarks) {
      items += fmt::format("<li><b>{}</b>: {}</li>", escape(run.name), escape(remark));
    }
  }
  return items.empty() ? "" : fmt::format("<ul class=\"remarks\">{}</ul>", items);
}

}  // namespace

std::string run_report(std::span<const RunSummary> runs, const ReportTexts& texts) {
  HtmlPage page(texts.title);
  page.set_lead(lead(runs, texts.written));
  page.add_section("Remarks", remarks(runs));
  page.add_section("Results", result_section(runs));
  page.add_section("Cells", cell_section(runs));
  page.add_section("Results as plots", result_plots(runs));
  page.add_section("Training curves", curve_section(runs));
  page.add_section("Distributions over latents", histogram_section(runs));
  page.add_section("Top activating contexts", context_section(runs));
  page.add_section("Settings that differ", difference_section(runs));
  page.add_section("Provenance", provenance_section(runs));
  return page.finish();
}

}  // namespace orthant
