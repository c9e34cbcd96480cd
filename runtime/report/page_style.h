// The look of a report: light and dark by the reader's preference, and print.
//
// Holds no character that XML would have escaped. Thread-safe.
#pragma once

#include <string_view>

namespace orthant {

extern const std::string_view kPageStyle;

}  // namespace orthant
