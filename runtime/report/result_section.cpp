#include "runtime/report/result_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string_view>

#include "runtime/report/html_page.h"
#include "runtime/report/html_text.h"
#include "runtime/report/result_rows.h"
#include "runtime/report/run_label.h"

namespace orthant {
namespace {

constexpr size_t kMostColumns = 6;  // runs as columns; more of them become rows

enum class Better { kNone, kHigher, kLower };

struct Measure {
  std::string_view key;
  std::string_view label;
  Better better = Better::kNone;
};

constexpr std::array<Measure, 12> kMeasures = {{
    {"explained_variance", "Explained variance", Better::kHigher},
    {"l0", "L0 (latents per token)"},
    {"dead_fraction", "Dead latents (share)", Better::kLower},
    {"mean_max_cosine", "Mean max cosine", Better::kLower},
    {"chance_mean_cosine", "Mean max cosine of random directions"},
    {"ce_loss_score", "CE recovered (1 = all)", Better::kHigher},
    {"perplexity", "Perplexity", Better::kLower},
    {"tokens", "Tokens"},
    {"steps", "Steps"},
    {"seconds", "Time (s)"},
    {"tokens_per_second", "Tokens per second"},
    {"weights_sha256", "SHA-256 of the weights"},
}};

using Values = std::vector<NamedValue>;

// The value called `key` itself, or else the first whose name ends in it.
const NamedValue* find_value(const Values& values, std::string_view key) {
  const NamedValue* nested = nullptr;
  for (const NamedValue& value : values) {
    if (value.name == key) return &value;
    const bool ends_in_key = value.name.size() > key.size() && value.name.ends_with(key) &&
                             value.name[value.name.size() - key.size() - 1] == '.';
    if (nested == nullptr && ends_in_key) nested = &value;
  }
  return nested;
}

TableCell cell_of(const NamedValue* value) {
  constexpr size_t kLongestText = 20;
  if (value == nullptr) return {.html = "<span class=\"faint\">·</span>", .is_number = true};
  if (value->is_number) return number_cell(value->number);
  if (character_count(value->text) <= kLongestText) return text_cell(value->text);
  return {.html = fmt::format("<span title=\"{}\">{}</span>", escape(value->text),
                              escape(shortened(value->text, kLongestText)))};
}

// Marks the best of at least two different numbers.
void mark_best(const std::vector<const NamedValue*>& values, Better better, std::vector<TableCell>& row) {
  std::optional<double> best, worst;
  for (const NamedValue* value : values) {
    if (value == nullptr || !value->is_number) continue;
    const double score = better == Better::kHigher ? value->number : -value->number;
    best = best ? std::max(*best, score) : score;
    worst = worst ? std::min(*worst, score) : score;
  }
  if (better == Better::kNone || !best || *best == *worst) return;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] == nullptr || !values[i]->is_number) continue;
    const double score = better == Better::kHigher ? values[i]->number : -values[i]->number;
    row[i + 1].is_best = score == *best;
  }
}

Table head(std::span<const RunSummary> runs) {
  Table table;
  table.columns_html.push_back("");
  for (size_t i = 0; i < runs.size(); ++i) table.columns_html.push_back(run_label(runs[i], i));
  return table;
}

std::string finished(const Table& table, size_t runs) {
  if (table.rows.empty()) return "";
  return table_html(runs > kMostColumns ? transposed(table) : table);
}

std::string main_table(std::span<const RunSummary> runs, const std::vector<Values>& results,
                       std::set<std::string>& shown) {
  Table table = head(runs);
  for (const Measure& measure : kMeasures) {
    std::vector<const NamedValue*> values;
    for (const Values& result : results) values.push_back(find_value(result, measure.key));
    if (std::all_of(values.begin(), values.end(), [](const NamedValue* v) { return v == nullptr; })) continue;
    std::vector<TableCell> row = {text_cell(measure.label)};
    for (const NamedValue* value : values) {
      row.push_back(cell_of(value));
      if (value != nullptr) shown.insert(value->name);
    }
    mark_best(values, measure.better, row);
    table.rows.push_back(std::move(row));
  }
  return finished(table, runs.size());
}

std::string other_table(std::span<const RunSummary> runs, const std::vector<Values>& results,
                        const std::set<std::string>& shown) {
  std::vector<std::string> names;
  std::set<std::string> known = shown;
  for (const Values& result : results) {
    for (const NamedValue& value : result) {
      if (known.insert(value.name).second) names.push_back(value.name);
    }
  }
  Table table = head(runs);
  for (const std::string& name : names) {
    std::vector<TableCell> row = {{.html = fmt::format("<code>{}</code>", escape(name))}};
    for (const Values& result : results) {
      const auto found = std::find_if(result.begin(), result.end(),
                                      [&](const NamedValue& value) { return value.name == name; });
      row.push_back(cell_of(found == result.end() ? nullptr : &*found));
    }
    table.rows.push_back(std::move(row));
  }
  const std::string html = finished(table, runs.size());
  return html.empty() ? "" : collapsible(fmt::format("All other results ({})", names.size()), html);
}

}  // namespace

std::string result_section(std::span<const RunSummary> runs) {
  std::vector<Values> results;
  for (const RunSummary& run : runs) results.push_back(flattened(run.result));
  std::set<std::string> shown;
  std::string html = main_table(runs, results, shown);
  html += other_table(runs, results, shown);
  for (size_t i = 0; i < runs.size(); ++i) html += result_rows(runs[i], i);
  return html;
}

}  // namespace orthant
