#include "sae/training/training_plan.h"

#include <algorithm>

#include "runtime/comm/planned_world.h"
#include "runtime/core/dtype.h"

namespace orthant::sae {
namespace {

int64_t bytes_of_state(Trainer& trainer) {
  int64_t bytes = 0;
  for (const TensorSlice& slice : trainer.state()) {
    int64_t elements = 1;
    for (const int64_t extent : slice.shape) elements *= extent;
    bytes += elements * bytes_of(slice.dtype);
  }
  return bytes;
}

// The seconds in which a rank sends what it sends to a group that spans `span` consecutive ranks.
double seconds_of(const GroupTraffic& traffic, int span, const DeviceRates& rates) {
  const bool on_one_host = span <= rates.devices_per_host;
  const double rate = (on_one_host ? rates.link_bytes : rates.network_bytes) * rates.link_share;
  return static_cast<double>(traffic.sent.total()) / rate +
         static_cast<double>(traffic.calls) * rates.call_seconds;
}

double wire_seconds(const StepTraffic& traffic, MeshShape mesh, const DeviceRates& rates) {
  const int world = mesh.data * mesh.dictionary;
  return seconds_of(traffic.dictionary, mesh.dictionary, rates) + seconds_of(traffic.data, world, rates) +
         seconds_of(traffic.world, world, rates);
}

StepTime step_time(const TrainerConfig& config, int64_t d_model, MeshShape mesh, const DeviceRates& rates) {
  const Conventions& c = config.conventions;
  const double d = static_cast<double>(d_model);
  const double latents = static_cast<double>(c.latents) / mesh.dictionary;
  const double own_rows = static_cast<double>(config.batch_tokens) / mesh.data;
  const bool codes_travel = config.data_parallel == DataParallel::kCodes;
  const double held_rows = codes_travel ? static_cast<double>(config.batch_tokens) : own_rows;
  const double flops = rates.flops * rates.flops_share;
  const double bytes = rates.memory_bytes * rates.memory_share;
  const double dense_product = 2.0 * d * latents * own_rows;

  StepTime time;
  if (c.architecture == Architecture::kStandard) {
    // Decode, the gradient of the values and those of both rows, of half of all latents.
    time.products = (dense_product + 4.0 * dense_product / 2.0) / flops;
  } else {
    const double codes = static_cast<double>(c.k) / mesh.dictionary;  // of a row, on this shard
    time.products = (dense_product + 10.0 * codes * d * own_rows) / flops;
    // Decode and the gradient of the values read rows of the decoder; the gradients of both rows read
    // activations.
    time.rows = 2.0 * (own_rows + held_rows) * codes * d * rates.value_bytes / bytes;
  }
  // f32 parameters and two moments, the second of them perhaps in bf16, read and written; the encoder read
  // and packed; gradient tensors where they exist.
  const double parameters = 2.0 * latents * d;
  const bool keeps_gradients = !codes_travel || c.architecture == Architecture::kStandard;
  const double updated = codes_travel ? parameters : parameters / mesh.data;
  const double moved = 2.0 * (8.0 + static_cast<double>(bytes_of(c.second_moment)));
  time.optimizer = ((config.updates ? moved : 0.0) * updated + parameters / 2.0 * (4.0 + rates.value_bytes) +
                    (keeps_gradients ? 12.0 * parameters : 0.0)) /
                   bytes;
  if (c.orthogonality_coefficient > 0.0 && c.architecture != Architecture::kStandard) {
    // Each pair of a chunk is multiplied once.
    const double chunk = static_cast<double>(std::min(c.orthogonality_chunk, c.latents));
    time.penalty = static_cast<double>(c.latents) * chunk * d / (mesh.data * mesh.dictionary) / flops /
                   c.orthogonality_period;
  }
  return time;
}

}  // namespace

TrainerFootprint trainer_footprint(const TrainerConfig& config, int64_t d_model, MeshShape mesh, int rank,
                                   Device device) {
  PlannedRank planned = make_planned_rank(mesh, rank, device);
  Memory memory = Memory::counting(device);
  Trainer trainer(config, d_model, planned.world, planned.grid, memory);
  return {.segments = memory.segments(),
          .memory_bytes = memory.allocated_bytes(),
          .checkpoint_bytes = bytes_of_state(trainer)};
}

MeshPlan plan_mesh(const TrainerConfig& config, int64_t d_model, MeshShape mesh, int64_t other_bytes,
                   const DeviceRates& rates) {
  MeshPlan plan{.mesh = mesh, .data_parallel = config.data_parallel};
  plan.footprint = trainer_footprint(config, d_model, mesh, 0, {rates.kind, 0});
  plan.fits = plan.footprint.memory_bytes + other_bytes <= rates.capacity_bytes;
  const auto traffic = [&](const StepKind& kind) {
    return predict_step_traffic(config, d_model, mesh, 0, kind);
  };
  plan.traffic = traffic({});
  plan.time = step_time(config, d_model, mesh, rates);
  plan.time.wire = wire_seconds(plan.traffic, mesh, rates);
  plan.sent_bytes = static_cast<double>(plan.traffic.sent_bytes());
  if (const int64_t most = auxiliary_k(config.conventions, d_model); most > 0) {
    plan.auxiliary_bytes = traffic({.dead_latents = most}).sent_bytes() - plan.traffic.sent_bytes();
  }
  if (config.conventions.orthogonality_coefficient <= 0.0) return plan;
  const double period = config.conventions.orthogonality_period;
  const StepTraffic with_penalty = traffic({.evaluates_penalty = true});
  plan.penalty_bytes = with_penalty.sent_bytes() - plan.traffic.sent_bytes();
  plan.sent_bytes += static_cast<double>(plan.penalty_bytes) / period;
  plan.time.wire += (wire_seconds(with_penalty, mesh, rates) - plan.time.wire) / period;
  return plan;
}

std::vector<MeshShape> meshes_of(int world) {
  std::vector<MeshShape> meshes;
  for (int dictionary = world; dictionary >= 1; --dictionary) {
    if (world % dictionary == 0) meshes.push_back({.data = world / dictionary, .dictionary = dictionary});
  }
  return meshes;
}

}  // namespace orthant::sae
