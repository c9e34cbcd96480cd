// What the verbs of diff share: cosines and histograms as documents, lists of rows as tables. Pure.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <span>
#include <string>

#include "sae/measure/histogram.h"

namespace orthant::launch {

// `of`: what is counted, as an axis of a plot names it.
[[nodiscard]] boost::json::object histogram_json(const sae::Histogram& histogram, const char* of);

// Number, mean, share at `threshold` or above with its standard error (as of independent draws), and
// histogram from -1 to 1.
[[nodiscard]] boost::json::object cosines_json(std::span<const float> cosines, double threshold, int bins);

// One line a row under its columns: the scalars of each row, by dotted names. Lists and histograms stay in
// the document. "" for no rows.
[[nodiscard]] std::string columns_table(const boost::json::array& rows);

// The table of a result: numbers first, then the rows of the list `name`.
[[nodiscard]] std::string table_with_rows(const boost::json::value& result, const char* name);

}  // namespace orthant::launch
