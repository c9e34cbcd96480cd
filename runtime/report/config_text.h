// The settings in a config.textproto as dotted names and values, read without its schema. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace orthant {

struct ConfigText {
  std::map<std::string, std::string> settings;  // "sae.k" -> "32"; repeated fields joined by ", "
  int64_t damaged_lines = 0;                    // neither a setting nor the begin or end of a group
};

// Reads the form in which configurations are written: one setting, or begin or end of a group, a line.
[[nodiscard]] ConfigText read_config_text(std::string_view text);

}  // namespace orthant
