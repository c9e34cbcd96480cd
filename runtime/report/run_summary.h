// What a run directory tells: how it was run, its settings, its numbers over the steps, its result,
// histograms and example contexts.
//
// Every file is optional, and damaged ones or damaged lines are counted in `remarks`, never fatal: a report
// of an interrupted or half-copied run says what is there. Reads only; thread-safe.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/report/latent_contexts.h"

namespace orthant {

// metrics.jsonl; every list is as long as `tokens`, NaN where a line lacks the number or it was not finite.
struct MetricHistory {
  std::vector<double> tokens;                         // not descending; steps where a run counts no tokens
  std::map<std::string, std::vector<double>> values;  // "losses/loss" -> one a line
};

struct Histogram {
  std::vector<double> edges;   // ascending, one more than counts
  std::vector<double> counts;  // not negative
};

struct RunSummary {
  std::string name;  // unique among the runs of a report after name_runs()
  std::string path;
  boost::json::object run;                      // run.json
  std::map<std::string, std::string> settings;  // config.textproto
  MetricHistory history;
  boost::json::object result;                   // result.json
  std::map<std::string, Histogram> histograms;  // histograms.json
  LatentContexts contexts;                      // contexts.jsonl
  std::vector<std::string> remarks;             // what could not be read, one sentence each

  // A text of run.json; "" where it has none.
  [[nodiscard]] std::string fact(const std::string& name) const;
  [[nodiscard]] std::string verb() const { return fact("verb"); }
};

// Throws Error(kIo) when `path` is no directory and Error(kData) when nothing of a run lies in it.
[[nodiscard]] RunSummary read_run(const std::string& path, const ContextLimits& limits);
// Names each run by the last component of its path, and by more of them where two would be called the same.
void name_runs(std::vector<RunSummary>& runs);

// {"edges": [...], "counts": [...]} where it is one.
[[nodiscard]] std::optional<Histogram> histogram_in(const boost::json::value& value);

// The numbers and texts of a JSON object with dotted names, in order; lists of scalars joined, long ones told
// by their length; lists that hold objects and histograms left out.
struct NamedValue {
  std::string name;
  bool is_number = false;
  double number = 0.0;
  std::string text = {};  // where it is no number
};
[[nodiscard]] std::vector<NamedValue> flattened(const boost::json::object& object);

}  // namespace orthant
