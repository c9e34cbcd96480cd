// What the stages of one evaluation share on this rank: inputs, grid, memory, and what was found out so far.
// Not thread-safe.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>

#include "kernels/dense/precision.h"
#include "launch/config.pb.h"
#include "launch/program/job_memory.h"
#include "launch/program/verb.h"
#include "models/transformer/language_model.h"
#include "runtime/comm/world.h"
#include "sae/measure/evaluation.h"

namespace orthant::launch {

struct EvaluationJob {
  // Collective. Opens nothing yet.
  explicit EvaluationJob(Invocation& call);
  EvaluationJob(const EvaluationJob&) = delete;
  EvaluationJob& operator=(const EvaluationJob&) = delete;

  Invocation& invocation;
  const Evaluate& own;
  World& world;
  kernels::Precision precision;  // of the encoder and of the model
  int virtual_shards;
  Grid grid;
  JobMemory memory;
  Stream stream;
  sae::Dictionary dictionary;                  // this rank's slice, where the job computes
  boost::json::object provenance;              // what a store says of itself; empty for other sources
  std::optional<models::LanguageModel> model;  // where it is given and needed
  sae::Evaluation evaluation;
};

// `dictionary`, which is on the host, in `memory`: itself where that is the host's.
[[nodiscard]] sae::Dictionary placed(sae::Dictionary dictionary, Memory& memory);

// Thrown on all ranks at an agreed point; the run is repeated by its command.
struct EvaluationStopped {};

// Collective. Throws EvaluationStopped on every rank when any was asked to stop.
void stop_if_asked(ControlGroup& control);

// A text among `fields`, or `otherwise` where there is none of that name.
[[nodiscard]] std::string text_or(const boost::json::object& fields, const char* name,
                                  const std::string& otherwise);

}  // namespace orthant::launch
