// How much of the dense model's inputs survives each pattern of a study: a record a window of the calibration
// text, and the rows of the result, a function of the records. Thread-safe for reading.
#pragma once

#include <boost/json/array.hpp>
#include <span>
#include <string>
#include <vector>

#include "launch/config.pb.h"
#include "launch/sparsity/calibration_text.h"
#include "launch/sparsity/request_records.h"
#include "models/sparsity/pattern.h"
#include "models/transformer/weights.h"

namespace orthant::launch {

class RetainedWindows {
 public:
  // The text outlives the object. Throws Error(kConfig) where there is no pattern, or one that does not fit
  // all inputs of a model of this shape.
  RetainedWindows(const Sparsity& own, const models::ModelConfig& config, const std::string& model_identity,
                  const CalibrationText& text);

  [[nodiscard]] int64_t count() const { return std::ssize(windows_); }
  [[nodiscard]] std::string key(int64_t window) const;
  // The record of a window: a row for each block, input and pattern. Not Collective.
  [[nodiscard]] boost::json::array measured(int64_t window, const models::Weights& weights, Memory& memory,
                                            Stream& stream) const;
  // Means over the records of all windows.
  [[nodiscard]] boost::json::array rows(const RequestRecords& records) const;

 private:
  std::vector<models::SparsityPattern> patterns_;
  std::vector<std::span<const int32_t>> windows_;
  std::string origin_;  // what keys are of, beside the window
};

}  // namespace orthant::launch
