// What was measured, unit by unit: one record a unit, kept once and never changed. Every metric is a function
// of these alone.
//
// All ranks hold the same records; rank 0 writes them to the run directory where there is one, so that a job
// goes on where it was killed, at any number of ranks. One thread.
#pragma once

#include <boost/json/array.hpp>
#include <map>
#include <optional>
#include <string>

#include "runtime/comm/control_group.h"
#include "runtime/job/cell_records.h"

namespace orthant::launch {

class RequestRecords {
 public:
  // Collective. `folder` empty: records end with the job.
  RequestRecords(const std::string& folder, ControlGroup& control);

  [[nodiscard]] bool has(const std::string& key) const { return records_.contains(key); }
  // An object for each request, as requests.jsonl has them.
  [[nodiscard]] const boost::json::array& of(const std::string& key) const { return records_.at(key); }
  // Collective. Adds what the ranks have measured; a rank without a unit gives an empty key.
  void add(const std::string& key, const boost::json::array& requests);

 private:
  void keep(const std::string& text);
  ControlGroup& control_;
  std::optional<CellRecords> files_;  // of rank 0
  std::map<std::string, boost::json::array> records_;
};

}  // namespace orthant::launch
