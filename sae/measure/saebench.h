// An evaluation in the shape of SAEBench's core results (version 0.6): eval_results/core/*.json, so that its
// readers and plots take it. Pure; thread-safe.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "sae/measure/evaluation.h"

namespace orthant::sae {

struct SaebenchRun {
  std::string id;       // of this evaluation, 32 hexadecimal digits
  std::string sae;      // path or name of the dictionary
  std::string version;  // of this program
  std::string git_hash;
  int64_t epoch_millis = 0;
  // Repeats what SAEBench computes: explained variance by definition D, mse divided by the tokens of its
  // batch (16 x 128) once more. Otherwise both are as in result.json.
  bool compat = false;
};

// What was not measured is -1, as SAEBench writes it. Needs `quality`.
[[nodiscard]] boost::json::object saebench_json(const Evaluation& evaluation, const SaebenchRun& run);

}  // namespace orthant::sae
