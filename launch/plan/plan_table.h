// A plan for people: one column a mesh. Pure.
#pragma once

#include <boost/json/value.hpp>
#include <string>

namespace orthant::launch {

// Of the result of plan_training().
[[nodiscard]] std::string training_plan_table(const boost::json::value& plan);

// Of the result of plan_harvest().
[[nodiscard]] std::string harvest_plan_table(const boost::json::value& plan);

}  // namespace orthant::launch
