// Numbers as a reader of a table or an axis wants them. Pure; thread-safe.
#pragma once

#include <string>

namespace orthant {

// Four significant digits; whole numbers in full with thousands separated by commas; "–" where not finite.
[[nodiscard]] std::string number_text(double value);
// The label of a tick on a linear axis whose ticks lie `step` apart and reach `largest`: "0.25", "1.5M".
[[nodiscard]] std::string linear_tick_text(double value, double step, double largest);
// The label of a tick on a logarithmic axis: "0.01", "200", "10⁶".
[[nodiscard]] std::string log_tick_text(double value);

}  // namespace orthant
