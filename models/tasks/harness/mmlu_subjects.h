// The 57 subjects of MMLU and the four categories that the harness puts them in. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orthant::models {

struct MmluCategory {
  std::string name;  // "stem", "humanities", "social_sciences", "other"
  std::vector<std::string> subjects;
};

[[nodiscard]] const std::vector<MmluCategory>& mmlu_categories();

[[nodiscard]] bool is_mmlu_subject(std::string_view subject);

}  // namespace orthant::models
