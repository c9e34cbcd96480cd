#include "runtime/report/settings_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <map>
#include <set>
#include <string_view>

#include "runtime/report/html_page.h"
#include "runtime/report/html_text.h"
#include "runtime/report/run_label.h"

namespace orthant {
namespace {

namespace json = boost::json;

constexpr size_t kMostColumns = 6;

using Indices = std::vector<size_t>;

Table head(std::span<const RunSummary> runs, const Indices& members) {
  Table table;
  table.columns_html.push_back("");
  for (const size_t i : members) table.columns_html.push_back(run_label(runs[i], i));
  return table;
}

std::string finished(const Table& table) {
  return table_html(table.columns_html.size() > kMostColumns + 1 ? transposed(table) : table);
}

std::string difference_table(std::span<const RunSummary> runs, const Indices& members) {
  std::set<std::string> names;
  for (const size_t i : members) {
    for (const auto& [name, value] : runs[i].settings) names.insert(name);
  }
  names.erase("out");  // differs between any two runs
  Table table = head(runs, members);
  for (const std::string& name : names) {
    std::vector<TableCell> row = {{.html = fmt::format("<code>{}</code>", escape(name))}};
    std::set<std::string> different;
    for (const size_t i : members) {
      const auto found = runs[i].settings.find(name);
      different.insert(found == runs[i].settings.end() ? "unset" : found->second);
      row.push_back(text_cell(found == runs[i].settings.end() ? "unset" : found->second));
    }
    if (different.size() > 1) table.rows.push_back(std::move(row));
  }
  if (table.rows.empty()) return "<p>No setting differs.</p>";
  return finished(table);
}

std::string shell_quoted(std::string_view word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos) return std::string(word);
  std::string quoted = "'";
  for (const char byte : word) {
    if (byte == '\'') quoted.append("'\\'");
    quoted.push_back(byte);
  }
  quoted.push_back('\'');
  return quoted;
}

std::string scalar_text(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
}

// Equal neighbours once, with their number: "node1 × 4, node2 × 4".
std::string list_text(const json::array& list) {
  std::string text;
  for (size_t i = 0; i < list.size();) {
    size_t end = i + 1;
    while (end < list.size() && list[end] == list[i]) ++end;
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", scalar_text(list[i]),
                        end - i > 1 ? fmt::format(" × {}", end - i) : "");
    i = end;
  }
  return text;
}

std::string object_text(const json::object& object) {
  std::string text;
  for (const auto& [name, value] : object) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", std::string_view(name), scalar_text(value));
  }
  return text;
}

std::string fact_text(const RunSummary& run, std::string_view name) {
  const json::value* value = run.run.if_contains(name);
  if (value == nullptr || value->is_null()) return "";
  if (name == "attempts") return value->is_array() ? fmt::format("{}", value->get_array().size()) : "";
  if (value->is_array()) return list_text(value->get_array());
  if (value->is_object()) return object_text(value->get_object());
  return scalar_text(*value);
}

std::string fact_table(std::span<const RunSummary> runs) {
  struct Fact {
    std::string_view name;
    std::string_view label;
  };
  static constexpr std::array<Fact, 13> kFacts = {{{"verb", "Verb"},
                                                   {"version", "Version"},
                                                   {"git_hash", "Git hash"},
                                                   {"hosts", "Hosts"},
                                                   {"world", "Ranks"},
                                                   {"mesh", "Mesh"},
                                                   {"devices", "Devices"},
                                                   {"threads", "Threads per rank"},
                                                   {"kernels", "Kernels"},
                                                   {"begun", "Begun"},
                                                   {"ended", "Ended"},
                                                   {"exit", "Exit"},
                                                   {"attempts", "Attempts"}}};
  Indices members(runs.size());
  for (size_t i = 0; i < runs.size(); ++i) members[i] = i;
  Table table = head(runs, members);
  table.rows.push_back({text_cell("Directory")});
  for (const RunSummary& run : runs) table.rows[0].push_back(text_cell(run.path));
  for (const Fact& fact : kFacts) {
    std::vector<TableCell> row = {text_cell(fact.label)};
    bool is_known = false;
    for (const RunSummary& run : runs) {
      const std::string text = fact_text(run, fact.name);
      is_known |= !text.empty();
      row.push_back(text_cell(text));
    }
    if (is_known) table.rows.push_back(std::move(row));
  }
  return finished(table);
}

std::string command_text(const RunSummary& run) {
  const json::value* words = run.run.if_contains("command_line");
  std::string text;
  if (words == nullptr || !words->is_array()) return text;
  for (const json::value& word : words->get_array()) {
    text += text.empty() ? "" : " ";
    text += shell_quoted(scalar_text(word));
  }
  return text;
}

std::string configuration_text(const RunSummary& run) {
  std::string text;
  for (const auto& [name, value] : run.settings) text += fmt::format("{} = {}\n", name, value);
  return text;
}

}  // namespace

std::string difference_section(std::span<const RunSummary> runs) {
  std::map<std::string, Indices> by_verb;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (!runs[i].settings.empty()) by_verb[runs[i].verb()].push_back(i);
  }
  std::string html;
  for (const auto& [verb, members] : by_verb) {
    if (members.size() < 2) continue;
    html += fmt::format("<h3>{}</h3>{}", escape(verb.empty() ? "unknown verb" : verb),
                        difference_table(runs, members));
  }
  return html;
}

std::string provenance_section(std::span<const RunSummary> runs) {
  std::string html = fact_table(runs);
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string command = command_text(runs[i]), configuration = configuration_text(runs[i]);
    if (command.empty() && configuration.empty()) continue;
    html += fmt::format("<h3>{}</h3>", run_label(runs[i], i));
    if (!command.empty()) html += fmt::format("<pre>{}</pre>", escape(command));
    if (!configuration.empty()) {
      html += collapsible(fmt::format("Whole configuration ({} settings)", runs[i].settings.size()),
                          fmt::format("<pre>{}</pre>", escape(configuration)));
    }
  }
  return html;
}

}  // namespace orthant
