#include "launch/diff_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <vector>

#include "launch/result.h"
#include "sae/measure/histogram.h"
#include "sae/measure/neighbour_cosines.h"

namespace orthant::launch {

namespace json = boost::json;

json::object cosines_json(std::span<const float> cosines, double threshold, int bins) {
  const auto above = std::count_if(cosines.begin(), cosines.end(), [&](float c) { return c >= threshold; });
  const sae::Histogram histogram = sae::histogram_of(cosines, -1.0, 1.0, bins);
  const double count = std::max<double>(1.0, static_cast<double>(cosines.size()));
  return {{"latents", cosines.size()},
          {"mean", sae::mean_of(cosines)},
          {"share_at_threshold", static_cast<double>(above) / count},
          {"histogram",
           {{"edges", json::value_from(histogram.edges)}, {"counts", json::value_from(histogram.counts)}}}};
}

std::string table_with_rows(const json::value& result, const char* name) {
  json::object numbers = result.as_object();
  const json::array rows = numbers.at(name).as_array();
  numbers.erase(name);
  std::string text = plain_table(numbers);
  for (const json::value& row : rows) {
    text += "\n";
    text += plain_table(row);
  }
  return text;
}

}  // namespace orthant::launch
