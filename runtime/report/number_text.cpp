#include "runtime/report/number_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace orthant {
namespace {

constexpr double kLargestExactInteger = 9007199254740992.0;  // 2^53

std::string with_commas(double whole) {
  const std::string digits = fmt::format("{:.0f}", std::abs(whole));
  std::string text = whole < 0 ? "−" : "";
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

// Without the zeros that a fixed number of digits leaves behind the point.
std::string trimmed(std::string text) {
  if (text.find('.') == std::string::npos) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string superscript(int exponent) {
  static constexpr std::array<std::string_view, 10> kDigits = {"⁰", "¹", "²", "³", "⁴",
                                                               "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text = exponent < 0 ? "⁻" : "";
  for (const char digit : fmt::format("{}", std::abs(exponent))) {
    text += kDigits[static_cast<size_t>(digit - '0')];
  }
  return text;
}

// mantissa × 10^exponent in the form of tables: "1.2 × 10⁻⁶".
std::string scientific(double value) {
  int exponent = static_cast<int>(std::floor(std::log10(std::abs(value))));
  double mantissa = value / std::pow(10.0, exponent);
  if (std::abs(mantissa) >= 9.9995) {
    mantissa /= 10.0;
    ++exponent;
  }
  return fmt::format("{} × 10{}", trimmed(fmt::format("{:.3f}", mantissa)), superscript(exponent));
}

std::string minus_sign(const std::string& text) {
  return text.starts_with('-') ? fmt::format("−{}", text.substr(1)) : text;
}

}  // namespace

std::string number_text(double value) {
  if (!std::isfinite(value)) return "–";
  const double size = std::abs(value);
  if (value == std::floor(value) && size < kLargestExactInteger) return with_commas(value);
  if (size >= 1e7 || size < 1e-4) return minus_sign(scientific(value));
  if (size >= 1000.0) return with_commas(std::round(value));
  const int digits_before = static_cast<int>(std::floor(std::log10(size))) + 1;
  return minus_sign(fmt::format("{:.{}f}", value, std::clamp(4 - digits_before, 0, 7)));
}

std::string linear_tick_text(double value, double step, double largest) {
  struct Unit {
    double size;
    std::string_view suffix;
  };
  static constexpr std::array<Unit, 4> kUnits = {{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}}};
  if (std::abs(value) < step * 1e-6) return "0";
  const auto* unit = std::find_if(kUnits.begin(), kUnits.end(),
                                  [&](const Unit& u) { return largest >= (u.size == 1e3 ? 1e4 : u.size); });
  const double scale = unit == kUnits.end() ? 1.0 : unit->size;
  if (largest < 1e-3) return minus_sign(scientific(value));
  const int decimals = std::clamp(static_cast<int>(std::ceil(-std::log10(step / scale) - 1e-9)) + 1, 0, 9);
  return minus_sign(trimmed(fmt::format("{:.{}f}", value / scale, decimals))) +
         (unit == kUnits.end() ? "" : std::string(unit->suffix));
}

std::string log_tick_text(double value) {
  if (value >= 0.9e-3 && value < 9.9e3) return trimmed(fmt::format("{:.4f}", value));
  const int exponent = static_cast<int>(std::floor(std::log10(value) + 1e-9));
  const double mantissa = value / std::pow(10.0, exponent);
  const std::string power = "10" + superscript(exponent);
  return std::abs(mantissa - 1.0) < 1e-6 ? power : fmt::format("{:.0f}·{}", mantissa, power);
}

}  // namespace orthant
