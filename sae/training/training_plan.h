// What a training would need at a mesh, before anything is allocated: memory, bytes on the wire, disk, time.
//
// Memory is what the very same objects ask of a Memory that counts, so it is what they allocate, to the byte.
// Traffic is that of step_traffic.h. Time is a model: the sum of its terms, nothing overlapped. Pure; not
// Collective.
#pragma once

#include <vector>

#include "runtime/comm/world.h"
#include "runtime/device/device_rates.h"
#include "runtime/device/memory.h"
#include "sae/training/step_traffic.h"
#include "sae/training/trainer.h"

namespace orthant::sae {

struct TrainerFootprint {
  std::vector<SegmentUse> segments;  // allocated_bytes are what rank `rank` would allocate
  int64_t memory_bytes = 0;
  int64_t checkpoint_bytes = 0;  // of all ranks together
};

// Constructs the trainer of one rank without memory; workspaces on the CPU are those of omp_get_max_threads()
// threads. No device is needed, and no rank needs more than rank 0.
[[nodiscard]] TrainerFootprint trainer_footprint(const TrainerConfig& config, int64_t d_model, MeshShape mesh,
                                                 int rank = 0, Device device = kCpu);

// Seconds of an average step on one rank. Of `standard` half of all activations are taken to be positive.
struct StepTime {
  double products = 0;   // of the encoder, and what little arithmetic the codes need
  double rows = 0;       // moving the rows that codes touch
  double optimizer = 0;  // moving parameters and moments
  double penalty = 0;    // products of the orthogonality penalty
  double wire = 0;       // bytes between ranks, and what a collective costs whatever its size
  [[nodiscard]] double total() const { return products + rows + optimizer + penalty + wire; }
};

struct MeshPlan {
  MeshShape mesh = {};
  DataParallel data_parallel = DataParallel::kCodes;
  TrainerFootprint footprint = {};  // of rank 0
  StepTraffic traffic = {};         // of rank 0 in a step without penalty and without dead latents
  // What rank 0 sends more in a step that evaluates the penalty, and in one with many dead latents.
  int64_t penalty_bytes = 0;
  int64_t auxiliary_bytes = 0;
  double sent_bytes = 0;  // of an average step without dead latents
  StepTime time = {};
  bool fits = false;
};

// `other_bytes`: what a rank needs beside the trainer (source, model).
[[nodiscard]] MeshPlan plan_mesh(const TrainerConfig& config, int64_t d_model, MeshShape mesh,
                                 int64_t other_bytes, const DeviceRates& rates);

// All meshes of so many ranks, by falling number of dictionary shards.
[[nodiscard]] std::vector<MeshShape> meshes_of(int world);

}  // namespace orthant::sae
