// Numbers read from text as flags and files write them. Pure; thread-safe.
#pragma once

#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

namespace orthant {

// The number that the whole of `text` is; nothing where it is none or outside of T.
template <typename T>
[[nodiscard]] std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

[[nodiscard]] inline std::optional<double> parse_finite(std::string_view text) {
  const std::optional<double> value = parse_number<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

}  // namespace orthant
