// The numbers of a run over its steps: metrics.jsonl and a TensorBoard event file in the run directory.
//
// One JSON object a logged step. A continued run cuts off what it is about to write again, so no step appears
// twice, and counts its seconds on from the last record that stays. Written by rank 0; other ranks construct
// it with writes = false and every call does nothing. Not thread-safe.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace orthant {

using Scalars = std::vector<std::pair<std::string, double>>;

class MetricsWriter {
 public:
  // Appends to `folder`/metrics.jsonl behind the records of steps below `first_step` and starts a new event
  // file. Throws Error(kIo).
  MetricsWriter(const std::string& folder, int64_t first_step, bool writes);
  ~MetricsWriter();
  MetricsWriter(const MetricsWriter&) = delete;
  MetricsWriter& operator=(const MetricsWriter&) = delete;

  // `seconds` of this attempt so far. `scalars` are named "group/name"; non-finite numbers become null in
  // JSON.
  void write(int64_t step, int64_t tokens, double seconds, const Scalars& scalars);

 private:
  std::FILE* lines_ = nullptr;
  std::FILE* events_ = nullptr;
  double seconds_before_ = 0.0;  // of earlier attempts
};

}  // namespace orthant
