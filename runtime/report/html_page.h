// A self-contained page: title, sections with a table of contents, tables. No script, no outside resource.
//
// Strings named `html` are markup and go in as they are; everything else is text and is escaped. The page is
// well-formed XML beside its doctype. Not thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orthant {

struct TableCell {
  std::string html;
  bool is_number = false;  // set right-aligned
  bool is_best = false;    // set bold
};

struct Table {
  std::vector<std::string> columns_html;     // the first one heads the row names
  std::vector<std::vector<TableCell>> rows;  // each as long as columns_html
};

[[nodiscard]] TableCell text_cell(std::string_view text);
[[nodiscard]] TableCell number_cell(double value);
// Rows become columns; the heads change places.
[[nodiscard]] Table transposed(const Table& table);
[[nodiscard]] std::string table_html(const Table& table);
// Closed until the reader opens it.
[[nodiscard]] std::string collapsible(std::string_view summary, std::string_view html, bool is_open = false);

class HtmlPage {
 public:
  explicit HtmlPage(std::string_view title) : title_(title) {}
  // What stands below the title.
  void set_lead(std::string html) { lead_ = std::move(html); }
  // Sections without content are left out.
  void add_section(std::string_view heading, std::string html);
  [[nodiscard]] std::string finish() const;

 private:
  struct Section {
    std::string heading;
    std::string html;
  };
  std::string title_;
  std::string lead_;
  std::vector<Section> sections_;
};

}  // namespace orthant
