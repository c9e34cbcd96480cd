// What the verbs of diff share: cosines as documents. Pure.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <span>
#include <string>

namespace orthant::launch {

// Number, mean, share at `threshold` or above, and histogram from -1 to 1.
[[nodiscard]] boost::json::object cosines_json(std::span<const float> cosines, double threshold, int bins);

// The table of a result: numbers first, then one line for each object of the list `name` with its columns.
[[nodiscard]] std::string table_with_rows(const boost::json::value& result, const char* name);

}  // namespace orthant::launch
