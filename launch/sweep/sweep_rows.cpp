#include "launch/sweep/sweep_rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <set>

#include "runtime/core/error.h"
#include "runtime/core/parse_number.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;
using Cells = std::vector<json::object>;

constexpr std::array<const char*, 6> kComparisons = {"<=", ">=", "!=", "<", ">", "="};
// What researchers compare first, of any verb.
constexpr std::array<const char*, 10> kFirstNumbers = {"explained_variance",
                                                       "fvu",
                                                       "l0",
                                                       "dead_fraction",
                                                       "mean_max_cosine",
                                                       "core.explained_variance",
                                                       "core.l0",
                                                       "ce_loss_score",
                                                       "perplexity",
                                                       "tokens"};
constexpr size_t kMostNumbers = 6;

std::string text_of(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_double()) return fmt::format("{:.6g}", value.get_double());
  return json::serialize(value);
}

std::string leaf_of(const std::string& name) {
  return name.substr(name.rfind('.') + 1);
}

const json::value* at_path(const json::object& object, const std::string& path) {
  if (const json::value* whole = object.if_contains(path)) return whole;
  const size_t dot = path.find('.');
  if (dot == std::string::npos) return nullptr;
  const json::value* part = object.if_contains(path.substr(0, dot));
  return part == nullptr || !part->is_object() ? nullptr : at_path(part->get_object(), path.substr(dot + 1));
}

const json::object& point_of(const json::object& cell) {
  return cell.at("point").as_object();
}

// Every scalar of the results, dotted.
void collect_scalars(const json::object& object, const std::string& prefix, std::vector<std::string>& names) {
  static const std::set<std::string> kOwn = {"key",    "point", "state", "name",
                                             "reason", "runs",  "out",   "code"};
  for (const auto& [key, value] : object) {
    const std::string name = prefix + std::string(key);
    if (prefix.empty() && kOwn.contains(name)) continue;
    if (value.is_object()) collect_scalars(value.get_object(), name + ".", names);
    if (value.is_object() || value.is_array()) continue;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
}

std::vector<std::string> point_fields(const Cells& cells) {
  std::vector<std::string> fields;
  for (const json::object& cell : cells) {
    for (const auto& [field, value] : point_of(cell)) {
      if (std::find(fields.begin(), fields.end(), field) == fields.end()) fields.emplace_back(field);
    }
  }
  return fields;
}

// Of the results, without what they repeat of the point.
std::vector<std::string> scalars_of(const Cells& cells) {
  std::vector<std::string> names;
  for (const json::object& cell : cells) collect_scalars(cell, "", names);
  const std::vector<std::string> fields = point_fields(cells);
  std::erase_if(names, [&](const std::string& name) {
    return std::find(fields.begin(), fields.end(), name) != fields.end();
  });
  return names;
}

bool has_names(const Cells& cells) {
  return std::any_of(cells.begin(), cells.end(),
                     [](const json::object& cell) { return cell.contains("name"); });
}

std::optional<double> number_of(const std::optional<json::value>& value) {
  if (!value || !value->is_number()) return std::nullopt;
  return value->to_number<double>();
}

[[noreturn]] void throw_usage(std::string problem, std::string why, std::string suggestion) {
  throw Error(ExitCode::kUsage,
              {.problem = std::move(problem), .why = std::move(why), .suggestion = std::move(suggestion)});
}

void require_known(const Cells& cells, const std::string& name) {
  if (cells.empty()) return;
  const auto knows = [&](const json::object& cell) { return cell_value(cell, name).has_value(); };
  if (std::any_of(cells.begin(), cells.end(), knows)) return;
  throw_usage(fmt::format("no cell has '{}'", name), "it is no field of a point and no number of a result",
              "--format=csv shows all names in its first line.");
}

json::object best_cell(const Cells& cells, const std::string& best) {
  const bool smallest = best.starts_with("-");
  const std::string name = smallest ? best.substr(1) : best;
  const json::object* found = nullptr;
  double value = 0.0;
  for (const json::object& cell : cells) {
    const std::optional<double> number = number_of(cell_value(cell, name));
    if (!number || !std::isfinite(*number)) continue;
    if (found != nullptr && (smallest ? *number >= value : *number <= value)) continue;
    found = &cell;
    value = *number;
  }
  if (found == nullptr)
    throw_usage(fmt::format("no cell has a number '{}'", name), "none can be the best", "See --format=csv.");
  return *found;
}

// Columns as wide as their widest text, numbers to the right.
std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      line += fmt::format("{}{:>{}}", c > 0 ? "  " : "", row[c], widths[c]);
    }
    text += fmt::format("{}\n", line);
  }
  return text;
}

std::string csv_text(const std::string& value) {
  if (value.find_first_of(",\"\n") == std::string::npos) return value;
  std::string doubled;
  for (const char c : value) doubled.append(c == '"' ? 2 : 1, c);
  return fmt::format("\"{}\"", doubled);
}

std::string value_text(const json::object& cell, const std::string& name) {
  const json::value* value = at_path(cell, name);
  return value == nullptr ? "" : text_of(*value);
}

std::string exact_text(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
}

}  // namespace

CellCondition parse_condition(const std::string& text) {
  for (const char* comparison : kComparisons) {
    const size_t at = text.find(comparison);
    if (at == std::string::npos || at == 0) continue;
    return {text.substr(0, at), comparison, text.substr(at + std::string(comparison).size())};
  }
  throw_usage(fmt::format("--where '{}' is no condition", text), "it names a field, a comparison and a value",
              "Write for example --where=sae.k=32,l0<70.");
}

std::optional<json::value> cell_value(const json::object& cell, const std::string& name) {
  const json::object& point = point_of(cell);
  if (const json::value* whole = point.if_contains(name)) return *whole;
  if (const json::value* number = at_path(cell, name)) return *number;
  for (const auto& [field, value] : point) {
    if (leaf_of(std::string(field)) == name) return value;
  }
  return std::nullopt;
}

bool holds(const CellCondition& condition, const json::object& cell) {
  const std::optional<json::value> value = cell_value(cell, condition.name);
  if (!value) return false;
  const std::optional<double> a = number_of(value);
  const std::optional<double> b = parse_finite(condition.value);
  const std::string& is = condition.comparison;
  if (!a || !b) {
    const bool equal = exact_text(*value) == condition.value;
    return is == "=" ? equal : is == "!=" && !equal;
  }
  if (is == "=") return *a == *b;
  if (is == "!=") return *a != *b;
  if (is == "<") return *a < *b;
  if (is == "<=") return *a <= *b;
  return is == ">" ? *a > *b : *a >= *b;
}

Cells chosen_cells(const json::array& cells, const std::vector<std::string>& where, const std::string& best) {
  Cells chosen;
  for (const json::value& cell : cells) chosen.push_back(cell.as_object());
  for (const std::string& text : where) {
    const CellCondition condition = parse_condition(text);
    require_known(chosen, condition.name);
    std::erase_if(chosen, [&](const json::object& cell) { return !holds(condition, cell); });
  }
  if (best.empty() || chosen.empty()) return chosen;
  return {best_cell(chosen, best)};
}

std::vector<std::string> table_numbers(const Cells& cells) {
  const auto is_there = [&](const std::string& name) {
    return std::any_of(cells.begin(), cells.end(), [&](const json::object& cell) {
      const json::value* value = at_path(cell, name);
      return value != nullptr && value->is_number();
    });
  };
  const std::vector<std::string> scalars = scalars_of(cells);
  std::vector<std::string> candidates(kFirstNumbers.begin(), kFirstNumbers.end());
  std::erase_if(candidates, [&](const std::string& name) {
    return std::find(scalars.begin(), scalars.end(), name) == scalars.end();
  });
  candidates.insert(candidates.end(), scalars.begin(), scalars.end());
  std::vector<std::string> names;
  for (const std::string& name : candidates) {
    if (names.size() == kMostNumbers) break;
    if (is_there(name) && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

std::string cells_table(const Cells& cells) {
  const std::vector<std::string> fields = point_fields(cells);
  const std::vector<std::string> numbers = table_numbers(cells);
  const bool named = has_names(cells);
  std::vector<std::vector<std::string>> rows(1);
  if (named) rows[0].emplace_back("name");
  rows[0].insert(rows[0].end(), fields.begin(), fields.end());
  for (const std::string& name : numbers) rows[0].push_back(name);
  rows[0].emplace_back("state");
  std::string failures;
  for (const json::object& cell : cells) {
    std::vector<std::string> row;
    if (named) row.push_back(value_text(cell, "name"));
    for (const std::string& field : fields) {
      const json::value* value = point_of(cell).if_contains(field);
      row.push_back(value == nullptr ? "" : text_of(*value));
    }
    for (const std::string& name : numbers) row.push_back(value_text(cell, name));
    row.push_back(value_text(cell, "state"));
    rows.push_back(row);
    if (!cell.contains("reason")) continue;
    failures += fmt::format("{}: {}\n", value_text(cell, "key"), value_text(cell, "reason"));
  }
  return aligned(rows) + (failures.empty() ? "" : "\n" + failures);
}

std::string cells_jsonl(const Cells& cells) {
  std::string lines;
  for (const json::object& cell : cells) lines += json::serialize(cell) + "\n";
  return lines;
}

std::string cells_csv(const Cells& cells) {
  const std::vector<std::string> fields = point_fields(cells);
  const std::vector<std::string> scalars = scalars_of(cells);
  std::vector<std::string> line = {"key", "name", "state", "reason", "runs"};
  const std::vector<std::string> own = line;
  line.insert(line.end(), fields.begin(), fields.end());
  line.insert(line.end(), scalars.begin(), scalars.end());
  const auto written = [](const json::value* value) {
    return value == nullptr ? std::string() : csv_text(exact_text(*value));
  };
  std::string text;
  for (std::string& name : line) name = csv_text(name);
  text += fmt::format("{}\n", fmt::join(line, ","));
  for (const json::object& cell : cells) {
    line.clear();
    for (const std::string& name : own) line.push_back(written(cell.if_contains(name)));
    for (const std::string& field : fields) line.push_back(written(point_of(cell).if_contains(field)));
    for (const std::string& name : scalars) line.push_back(written(at_path(cell, name)));
    text += fmt::format("{}\n", fmt::join(line, ","));
  }
  return text;
}

}  // namespace orthant::launch
