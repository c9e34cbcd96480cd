// The name that was probably meant: the nearest by edit distance. Thread-safe.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace orthant {

// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`.
[[nodiscard]] int edit_distance(std::string_view a, std::string_view b);
// The nearest of `names` to `misspelt`; names are compared whole and by their part after the last dot; the
// beginning of a name is near. Empty
// where nothing is near (more than a third of the letters differ). Ties go to the first.
[[nodiscard]] std::string nearest_name(std::string_view misspelt, std::span<const std::string> names);

}  // namespace orthant
