#include "launch/program/result.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "runtime/core/error.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

constexpr size_t kLongestList = 8;

struct Line {
  std::string name;
  std::string value;
};

std::string scalar_text(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_double()) return fmt::format("{:.6g}", value.get_double());
  return json::serialize(value);
}

std::string list_text(const json::array& list) {
  if (list.size() > kLongestList) return fmt::format("{} values", list.size());
  std::string text;
  for (const json::value& value : list)
    text += fmt::format("{}{}", text.empty() ? "" : " ", scalar_text(value));
  return text;
}

void add_lines(const std::string& name, const json::value& value, std::vector<Line>& lines) {
  if (value.is_object()) {
    for (const auto& [key, member] : value.get_object()) {
      add_lines(fmt::format("{}{}{}", name, name.empty() ? "" : ".", std::string_view(key)), member, lines);
    }
    return;
  }
  lines.push_back({name, value.is_array() ? list_text(value.get_array()) : scalar_text(value)});
}

}  // namespace

std::string plain_table(const json::value& result) {
  std::vector<Line> lines;
  add_lines("", result, lines);
  size_t width = 0;
  for (const Line& line : lines) width = std::max(width, line.name.size());
  std::string table;
  for (const Line& line : lines) {
    table += width == 0 ? line.value + "\n" : fmt::format("{:<{}}  {}\n", line.name, width, line.value);
  }
  return table;
}

void write_output(const std::string& text) {
  const size_t written = std::fwrite(text.data(), 1, text.size(), stdout);
  if (written == text.size() && std::fflush(stdout) == 0) return;
  throw Error(ExitCode::kIo, {.problem = "cannot write to standard output",
                              .why = std::strerror(errno),
                              .suggestion = "Check the file or pipe that it goes to."});
}

void print_result(const Verb& verb, bool as_json, const json::value& result) {
  if (as_json) return write_output(json::serialize(result) + "\n");
  write_output(verb.table != nullptr ? verb.table(result) : plain_table(result));
}

}  // namespace orthant::launch
