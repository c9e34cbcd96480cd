#include "runtime/report/run_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_to.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <numeric>
#include <optional>
#include <set>
#include <string_view>

#include "runtime/core/error.h"
#include "runtime/report/config_text.h"
#include "runtime/storage/file.h"

namespace orthant {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
constexpr std::array<std::string_view, 4> kRunFiles = {"run.json", "config.textproto", "metrics.jsonl",
                                                       "result.json"};

std::string in(const RunSummary& run, std::string_view name) {
  return fmt::format("{}/{}", run.path, name);
}

// The object in a JSON file; empty, with a remark, where it is damaged or cannot be read.
json::object read_object(RunSummary& run, std::string_view name) {
  if (!fs::exists(in(run, name))) return {};
  try {
    json::error_code failed;
    json::value value = json::parse(read_file(in(run, name)), failed);
    if (!failed && value.is_object()) return std::move(value.get_object());
    run.remarks.push_back(fmt::format("{} is damaged and was left out ({}).", name,
                                      failed ? failed.message() : "not a JSON object"));
  } catch (const Error& error) {
    run.remarks.push_back(fmt::format("{} was left out: {}", name, error.what()));
  }
  return {};
}

void read_settings(RunSummary& run) {
  if (!fs::exists(in(run, "config.textproto"))) return;
  try {
    ConfigText config = read_config_text(read_file(in(run, "config.textproto")));
    run.settings = std::move(config.settings);
    if (config.damaged_lines > 0) {
      run.remarks.push_back(
          fmt::format("config.textproto has {} lines that are not understood.", config.damaged_lines));
    }
  } catch (const Error& error) {
    run.remarks.push_back(fmt::format("config.textproto was left out: {}", error.what()));
  }
}

double number_or_missing(const json::value& value) {
  json::error_code failed;
  const double number = value.to_number<double>(failed);
  return failed ? kMissing : number;
}

// Adds a line's numbers; false where it is no object with a step or tokens.
bool add_line(const std::string& line, MetricHistory& history) {
  json::error_code failed;
  const json::value value = json::parse(line, failed);
  if (failed || !value.is_object()) return false;
  const json::object& object = value.get_object();
  const json::value* place = object.if_contains("tokens");
  if (place == nullptr || !place->is_number()) place = object.if_contains("step");
  if (place == nullptr || !place->is_number()) return false;
  const size_t before = history.tokens.size();
  history.tokens.push_back(number_or_missing(*place));
  for (const auto& [name, member] : object) {
    if (std::string_view(name).find('/') == std::string_view::npos) continue;
    std::vector<double>& list = history.values[std::string(name)];
    list.resize(before, kMissing);
    list.push_back(number_or_missing(member));
  }
  return true;
}

void sort_by_tokens(MetricHistory& history) {
  if (std::is_sorted(history.tokens.begin(), history.tokens.end())) return;
  std::vector<size_t> order(history.tokens.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return history.tokens[a] < history.tokens[b]; });
  const auto reorder = [&](std::vector<double>& list) {
    const std::vector<double> old = list;
    for (size_t i = 0; i < order.size(); ++i) list[i] = old[order[i]];
  };
  for (auto& [name, list] : history.values) reorder(list);
  reorder(history.tokens);
}

void read_history(RunSummary& run) {
  std::ifstream file(in(run, "metrics.jsonl"));
  int64_t damaged = 0;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && !add_line(line, run.history)) ++damaged;
  }
  for (auto& [name, list] : run.history.values) list.resize(run.history.tokens.size(), kMissing);
  sort_by_tokens(run.history);
  if (damaged > 0) {
    run.remarks.push_back(fmt::format("metrics.jsonl has {} damaged lines, which were left out.", damaged));
  }
}

void read_histograms(RunSummary& run) {
  for (const auto& [name, value] : read_object(run, "histograms.json")) {
    std::optional<Histogram> histogram = histogram_in(value);
    if (histogram) {
      run.histograms[std::string(name)] = std::move(*histogram);
    } else {
      run.remarks.push_back(fmt::format("histograms.json: '{}' is no histogram.", std::string_view(name)));
    }
  }
}

void read_contexts(RunSummary& run, const ContextLimits& limits) {
  run.contexts = read_latent_contexts(in(run, "contexts.jsonl"), limits);
  if (run.contexts.damaged_lines > 0) {
    run.remarks.push_back(
        fmt::format("contexts.jsonl has {} damaged lines, which were left out.", run.contexts.damaged_lines));
  }
}

void require_run_directory(const std::string& path) {
  std::error_code failed;
  if (!fs::is_directory(path, failed)) {
    throw Error(ExitCode::kIo,
                {.problem = fmt::format("cannot read the run directory '{}'", path),
                 .why = failed ? failed.message()
                               : (fs::exists(path) ? "it is not a directory" : "it does not exist"),
                 .suggestion = "Name directories that other verbs were given as --out."});
  }
  const bool is_run = std::any_of(kRunFiles.begin(), kRunFiles.end(), [&](std::string_view name) {
    return fs::exists(fmt::format("{}/{}", path, name));
  });
  if (!is_run) {
    throw Error(ExitCode::kData,
                {.problem = fmt::format("'{}' is not a run directory", path),
                 .why = "it holds no run.json, config.textproto, metrics.jsonl or result.json",
                 .suggestion = "Name directories that other verbs were given as --out."});
  }
}

// The last `components` components of a path.
std::string tail_of(const fs::path& path, int components) {
  fs::path tail;
  fs::path rest = path;
  for (int i = 0; i < components && rest.has_filename(); ++i, rest = rest.parent_path()) {
    tail = tail.empty() ? rest.filename() : rest.filename() / tail;
  }
  return tail.empty() ? path.string() : tail.string();
}

std::string joined(const json::array& list) {
  constexpr size_t kMostJoined = 16;
  if (list.size() > kMostJoined) return fmt::format("{} values", list.size());
  std::string text;
  for (const json::value& value : list) {
    text += text.empty() ? "" : ", ";
    text += value.is_string() ? std::string(value.get_string()) : json::serialize(value);
  }
  return text;
}

void flatten(const std::string& prefix, const json::object& object, std::vector<NamedValue>& into) {
  for (const auto& [key, value] : object) {
    const std::string name = prefix + std::string(key);
    if (histogram_in(value)) continue;
    if (const json::object* group = value.if_object()) {
      flatten(name + ".", *group, into);
    } else if (const json::array* list = value.if_array()) {
      const bool holds_objects =
          std::any_of(list->begin(), list->end(), [](const json::value& v) { return v.is_structured(); });
      if (!holds_objects) into.push_back({.name = name, .text = joined(*list)});
    } else if (value.is_number()) {
      into.push_back({.name = name, .is_number = true, .number = number_or_missing(value)});
    } else if (!value.is_null()) {
      into.push_back({.name = name,
                      .text = value.is_string() ? std::string(value.get_string()) : json::serialize(value)});
    }
  }
}

}  // namespace

std::optional<Histogram> histogram_in(const json::value& value) {
  const json::object* object = value.if_object();
  const json::value* edges = object == nullptr ? nullptr : object->if_contains("edges");
  const json::value* counts = object == nullptr ? nullptr : object->if_contains("counts");
  if (edges == nullptr || counts == nullptr) return std::nullopt;
  const auto edge_list = json::try_value_to<std::vector<double>>(*edges);
  const auto count_list = json::try_value_to<std::vector<double>>(*counts);
  if (!edge_list || !count_list || count_list->empty()) return std::nullopt;
  const bool fits = edge_list->size() == count_list->size() + 1 &&
                    std::is_sorted(edge_list->begin(), edge_list->end()) &&
                    *std::min_element(count_list->begin(), count_list->end()) >= 0.0;
  if (!fits) return std::nullopt;
  return Histogram{*edge_list, *count_list};
}

std::string RunSummary::fact(const std::string& key) const {
  const json::value* value = run.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

RunSummary read_run(const std::string& path, const ContextLimits& limits) {
  require_run_directory(path);
  RunSummary run;
  run.path = path;
  run.run = read_object(run, "run.json");
  read_settings(run);
  read_history(run);
  run.result = read_object(run, "result.json");
  if (!fs::exists(in(run, "result.json"))) {
    run.remarks.push_back("It has not finished: there is no result.json.");
  }
  read_histograms(run);
  read_contexts(run, limits);
  return run;
}

void name_runs(std::vector<RunSummary>& runs) {
  constexpr int kMostComponents = 64;
  std::vector<fs::path> paths;
  for (const RunSummary& run : runs) {
    fs::path path = fs::absolute(run.path).lexically_normal();
    paths.push_back(path.has_filename() ? path : path.parent_path());
  }
  std::vector<int> components(runs.size(), 1);
  for (int round = 0; round < kMostComponents; ++round) {
    std::map<std::string, std::vector<size_t>> called;
    for (size_t i = 0; i < runs.size(); ++i) {
      runs[i].name = tail_of(paths[i], components[i]);
      called[runs[i].name].push_back(i);
    }
    if (called.size() == runs.size()) return;
    for (const auto& [name, members] : called) {
      for (const size_t i : members) components[i] += members.size() > 1 ? 1 : 0;
    }
  }
}

std::vector<NamedValue> flattened(const json::object& object) {
  std::vector<NamedValue> values;
  flatten("", object, values);
  return values;
}

}  // namespace orthant
