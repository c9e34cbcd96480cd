#include "launch/diff/diff_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <cmath>
#include <utility>
#include <vector>

#include "launch/program/result.h"
#include "sae/measure/neighbour_cosines.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

using Fields = std::vector<std::pair<std::string, std::string>>;  // column, text

// A control character would break the line.
std::string on_one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  return text;
}

std::string scalar_text(const json::value& value) {
  if (value.is_string()) return on_one_line(std::string(value.get_string()));
  if (value.is_double()) return fmt::format("{:.5g}", value.get_double());
  return value.is_null() ? "-" : json::serialize(value);
}

void add_fields(const std::string& prefix, const json::object& row, Fields& fields) {
  if (row.contains("edges")) return;
  for (const auto& [key, value] : row) {
    const std::string name = prefix + std::string(key);
    if (const json::object* group = value.if_object()) {
      add_fields(name + ".", *group, fields);
    } else if (!value.is_array()) {
      fields.emplace_back(name, scalar_text(value));
    }
  }
}

// Of text on a terminal, so that letters of several bytes do not shift a column.
size_t characters(const std::string& text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; }));
}

}  // namespace

json::object histogram_json(const sae::Histogram& histogram, const char* of) {
  return {{"of", of},
          {"edges", json::value_from(histogram.edges)},
          {"counts", json::value_from(histogram.counts)}};
}

json::object cosines_json(std::span<const float> cosines, double threshold, int bins) {
  const auto above = std::count_if(cosines.begin(), cosines.end(), [&](float c) { return c >= threshold; });
  const double count = std::max<double>(1.0, static_cast<double>(cosines.size()));
  const double share = static_cast<double>(above) / count;
  return {{"latents", cosines.size()},
          {"mean", sae::mean_of(cosines)},
          {"share_at_threshold", share},
          {"share_stderr", std::sqrt(share * (1.0 - share) / count)},
          {"histogram", histogram_json(sae::histogram_of(cosines, -1.0, 1.0, bins), "cosine")}};
}

std::string columns_table(const json::array& rows) {
  std::vector<Fields> lines;
  std::vector<std::string> columns;
  std::vector<size_t> widths;
  for (const json::value& row : rows) {
    Fields& fields = lines.emplace_back();
    add_fields("", row.as_object(), fields);
    for (const auto& [name, text] : fields) {
      auto at = std::find(columns.begin(), columns.end(), name);
      if (at == columns.end()) {
        at = columns.insert(columns.end(), name);
        widths.push_back(name.size());
      }
      size_t& width = widths[static_cast<size_t>(at - columns.begin())];
      width = std::max(width, characters(text));
    }
  }
  std::string table;
  const auto add_cell = [&](size_t column, const std::string& text) {
    table.append(widths[column] - characters(text) + (column == 0 ? 0 : 2), ' ');
    table += text;
  };
  if (columns.empty()) return table;
  for (size_t c = 0; c < columns.size(); ++c) add_cell(c, columns[c]);
  table += "\n";
  for (const Fields& fields : lines) {
    for (size_t c = 0; c < columns.size(); ++c) {
      const auto found =
          std::find_if(fields.begin(), fields.end(), [&](const auto& f) { return f.first == columns[c]; });
      add_cell(c, found == fields.end() ? "" : found->second);
    }
    table += "\n";
  }
  return table;
}

std::string table_with_rows(const json::value& result, const char* name) {
  json::object numbers = result.as_object();
  const json::array rows = numbers.at(name).as_array();
  numbers.erase(name);
  return plain_table(numbers) + "\n" + columns_table(rows);
}

}  // namespace orthant::launch
