// What one rank sends in one step of a trainer, from shapes alone: the collectives of the step in their
// order, on groups that only count.
//
// Exact wherever the step's collectives have sizes that do not depend on the activations. Expected values
// stand for the rest: codes that travel between replicas lie evenly on the shards and replicas, a prefilter
// of BatchTopK is right at once and no values tie, latents and their nearest neighbours lie evenly on the
// shards. The control plane is not counted. Pure.
#pragma once

#include "runtime/comm/communicator.h"
#include "runtime/comm/world.h"
#include "sae/training/trainer.h"

namespace orthant::sae {

struct GroupTraffic {
  Traffic sent;
  int64_t calls = 0;  // collectives in which anything travels
};

struct StepTraffic {
  GroupTraffic dictionary;
  GroupTraffic data;
  GroupTraffic world;
  [[nodiscard]] int64_t sent_bytes() const {
    return dictionary.sent.total() + data.sent.total() + world.sent.total();
  }
};

// What is not the same in every step.
struct StepKind {
  bool evaluates_penalty = false;     // where the conventions have one
  int64_t dead_latents = 0;           // over all shards; of more than 0 the auxiliary loss is evaluated
  bool updates_row_threshold = true;  // of rules that follow the rows: from their first step on
  bool measures_variance = false;     // steps that are logged
  int64_t second_round_rows = 0;      // of the main selection
};

[[nodiscard]] StepTraffic predict_step_traffic(const TrainerConfig& config, int64_t d_model, MeshShape mesh,
                                               int rank, const StepKind& kind);

}  // namespace orthant::sae
