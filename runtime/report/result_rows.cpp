#include "runtime/report/result_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <set>
#include <string_view>

#include "runtime/report/html_page.h"
#include "runtime/report/html_text.h"
#include "runtime/report/run_label.h"

namespace orthant {
namespace {

namespace json = boost::json;

constexpr size_t kMostRows = 500;
constexpr size_t kMostColumns = 24;
constexpr size_t kLongestText = 28;

bool holds_objects(const json::value& value) {
  const json::array* list = value.if_array();
  return list != nullptr && !list->empty() &&
         std::all_of(list->begin(), list->end(), [](const json::value& v) { return v.is_object(); });
}

std::vector<std::string> column_names(const std::vector<std::vector<NamedValue>>& rows) {
  std::vector<std::string> names;
  std::set<std::string> known;
  for (const auto& row : rows) {
    for (const NamedValue& value : row) {
      if (known.insert(value.name).second) names.push_back(value.name);
    }
  }
  names.resize(std::min(names.size(), kMostColumns));
  return names;
}

TableCell cell(const std::vector<NamedValue>& row, const std::string& name) {
  const auto found =
      std::find_if(row.begin(), row.end(), [&](const NamedValue& v) { return v.name == name; });
  if (found == row.end()) return text_cell("");
  return found->is_number ? number_cell(found->number) : text_cell(shortened(found->text, kLongestText));
}

std::string rows_table(const json::array& list) {
  std::vector<std::vector<NamedValue>> rows;
  for (const json::value& value : list) {
    if (rows.size() < kMostRows) rows.push_back(flattened(value.get_object()));
  }
  const std::vector<std::string> names = column_names(rows);
  Table table;
  table.columns_html.push_back("#");
  for (const std::string& name : names) table.columns_html.push_back(escape(name));
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<TableCell>& row = table.rows.emplace_back();
    row.push_back(text_cell(fmt::format("{}", i + 1)));
    for (const std::string& name : names) row.push_back(cell(rows[i], name));
  }
  const size_t left_out = list.size() - rows.size();
  return table_html(table) +
         (left_out == 0 ? "" : fmt::format("<p class=\"faint\">{} more rows in result.json.</p>", left_out));
}

}  // namespace

std::string result_rows(const RunSummary& run, size_t index) {
  std::string html;
  for (const auto& [name, value] : run.result) {
    if (!holds_objects(value)) continue;
    html += fmt::format("<h3>{}: {}</h3>{}", run_label(run, index), escape(std::string_view(name)),
                        rows_table(value.get_array()));
  }
  return html;
}

}  // namespace orthant
