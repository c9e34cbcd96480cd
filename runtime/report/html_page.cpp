#include "runtime/report/html_page.h"

#include <fmt/format.h>

#include "runtime/core/error.h"
#include "runtime/report/html_text.h"
#include "runtime/report/number_text.h"
#include "runtime/report/page_style.h"

namespace orthant {
namespace {

std::string cell_classes(const TableCell& cell) {
  if (!cell.is_number && !cell.is_best) return "";
  return fmt::format(" class=\"{}{}{}\"", cell.is_number ? "number" : "",
                     cell.is_number && cell.is_best ? " " : "", cell.is_best ? "best" : "");
}

}  // namespace

TableCell text_cell(std::string_view text) {
  return {.html = escape(text)};
}

TableCell number_cell(double value) {
  return {.html = number_text(value), .is_number = true};
}

Table transposed(const Table& table) {
  Table turned;
  turned.columns_html.push_back("");
  for (const auto& row : table.rows) turned.columns_html.push_back(row.at(0).html);
  for (size_t column = 1; column < table.columns_html.size(); ++column) {
    std::vector<TableCell>& row = turned.rows.emplace_back();
    row.push_back({.html = table.columns_html[column]});
    for (const auto& old_row : table.rows) row.push_back(old_row.at(column));
  }
  return turned;
}

std::string table_html(const Table& table) {
  std::string html = "<div class=\"scroll\"><table><thead><tr>";
  for (size_t column = 0; column < table.columns_html.size(); ++column) {
    const bool is_number = column > 0 && !table.rows.empty() && table.rows[0].at(column).is_number;
    html += fmt::format("<th scope=\"col\"{}>{}</th>", is_number ? " class=\"number\"" : "",
                        table.columns_html[column]);
  }
  html += "</tr></thead><tbody>";
  for (const auto& row : table.rows) {
    require(row.size() == table.columns_html.size(), "a row fills its table");
    html += fmt::format("<tr><th scope=\"row\">{}</th>", row[0].html);
    for (size_t column = 1; column < row.size(); ++column) {
      html += fmt::format("<td{}>{}</td>", cell_classes(row[column]), row[column].html);
    }
    html += "</tr>";
  }
  return html + "</tbody></table></div>\n";
}

std::string collapsible(std::string_view summary, std::string_view html, bool is_open) {
  return fmt::format("<details{}><summary>{}</summary>{}</details>\n", is_open ? " open=\"open\"" : "",
                     escape(summary), html);
}

void HtmlPage::add_section(std::string_view heading, std::string html) {
  if (!html.empty()) sections_.push_back({std::string(heading), std::move(html)});
}

std::string HtmlPage::finish() const {
  std::string contents, body;
  for (size_t i = 0; i < sections_.size(); ++i) {
    const std::string heading = escape(sections_[i].heading);
    contents += fmt::format("<a href=\"#section-{}\">{}</a>", i + 1, heading);
    body += fmt::format("<section id=\"section-{}\"><h2>{}</h2>\n{}</section>\n", i + 1, heading,
                        sections_[i].html);
  }
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/><title>{0}</title>\n"
      "<style>\n{1}</style></head>\n<body><header><h1>{0}</h1>\n{2}\n<nav>{3}</nav></header>\n"
      "<main>\n{4}</main></body></html>\n",
      escape(title_), kPageStyle, lead_, contents, body);
}

}  // namespace orthant
