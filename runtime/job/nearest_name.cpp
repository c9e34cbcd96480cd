#include "runtime/job/nearest_name.h"

#include <algorithm>
#include <vector>

namespace orthant {
namespace {

// The beginning of a name is as near as one wrong letter.
int distance_of(std::string_view misspelt, std::string_view name) {
  const bool is_beginning = misspelt.size() >= 3 && name.starts_with(misspelt);
  return is_beginning ? std::min(1, edit_distance(misspelt, name)) : edit_distance(misspelt, name);
}

}  // namespace

int edit_distance(std::string_view a, std::string_view b) {
  const size_t width = b.size() + 1;
  std::vector<int> table((a.size() + 1) * width);  // [a.size() + 1, b.size() + 1]
  const auto at = [&](size_t i, size_t j) -> int& { return table[i * width + j]; };
  for (size_t i = 0; i <= a.size(); ++i) at(i, 0) = static_cast<int>(i);
  for (size_t j = 0; j <= b.size(); ++j) at(0, j) = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const int substituted = at(i - 1, j - 1) + (a[i - 1] == b[j - 1] ? 0 : 1);
      at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, substituted});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
    }
  }
  return table.back();
}

std::string nearest_name(std::string_view misspelt, std::span<const std::string> names) {
  const std::string_view misspelt_leaf = misspelt.substr(misspelt.rfind('.') + 1);
  std::string best;
  int best_distance = 1 + std::max<int>(2, static_cast<int>(misspelt_leaf.size()) / 3);
  for (const std::string& name : names) {
    const std::string_view leaf = std::string_view(name).substr(name.rfind('.') + 1);
    const int distance = std::min(distance_of(misspelt, name),
                                  distance_of(misspelt_leaf, leaf) + (leaf.size() == name.size() ? 0 : 1));
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = name;
  }
  return best;
}

}  // namespace orthant
