// The rates that a plan counts with, and where they come from.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "runtime/device/device_rates.h"

namespace orthant::launch {

struct PlanRates {
  DeviceRates device;  // of one rank
  std::string origin;  // "stated" or "measured"
  int threads = 1;     // CPU threads of a rank
  [[nodiscard]] boost::json::object json() const;
};

// Of `ranks` ranks on a device of that name. "cpu": this host, whose peak is measured for a few times ten
// milliseconds; `threads` of a rank, 0: the cores over the ranks. Sets the number of OpenMP threads to that
// of a rank.
[[nodiscard]] PlanRates plan_rates(const std::string& device, int ranks, int threads);

}  // namespace orthant::launch
