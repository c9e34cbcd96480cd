#include "runtime/report/config_text.h"

#include <vector>

namespace orthant {
namespace {

std::string_view stripped(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

std::string dotted(const std::vector<std::string>& groups, std::string_view name) {
  std::string whole;
  for (const std::string& group : groups) whole += group + ".";
  return whole + std::string(name);
}

// Without the quotes and the escaped quotes and backslashes of a string value; other escapes stay as written.
std::string plain_value(std::string_view value) {
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') return std::string(value);
  std::string plain;
  for (size_t i = 1; i + 1 < value.size(); ++i) {
    const bool is_escape =
        value[i] == '\\' && (value[i + 1] == '"' || value[i + 1] == '\\' || value[i + 1] == '\'');
    if (is_escape && i + 2 < value.size()) ++i;
    plain += value[i];
  }
  return plain;
}

}  // namespace

ConfigText read_config_text(std::string_view text) {
  ConfigText config;
  std::vector<std::string> groups;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = stripped(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.front() == '#') continue;
    const size_t colon = line.find(':');
    if (line == "}" && !groups.empty()) {
      groups.pop_back();
    } else if (line.back() == '{' && line.size() > 1) {
      groups.emplace_back(stripped(line.substr(0, line.find_first_of(" :{"))));
    } else if (colon != std::string_view::npos && colon > 0) {
      std::string& value = config.settings[dotted(groups, stripped(line.substr(0, colon)))];
      value += value.empty() ? "" : ", ";
      value += plain_value(stripped(line.substr(colon + 1)));
    } else {
      ++config.damaged_lines;
    }
  }
  return config;
}

}  // namespace orthant
