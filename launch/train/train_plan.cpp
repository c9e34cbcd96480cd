#include "launch/train/train_plan.h"

#include <omp.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <limits>

#include "kernels/dense/precision.h"
#include "launch/plan/plan_rates.h"
#include "launch/source/source_plan.h"
#include "launch/train/train_config.h"
#include "runtime/core/error.h"
#include "sae/training/training_plan.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

constexpr char kSmaller[] =
    "Use more hosts, a mesh with more shards (mesh.dictionary), a smaller train.batch_tokens or fewer "
    "sae.latents; "
    "`orthant plan train` with the same fields shows what takes the room.";

json::object to_json(const std::vector<SegmentUse>& segments) {
  json::object object;
  for (const SegmentUse& use : segments) object[use.segment] = use.allocated_bytes;
  return object;
}

json::object to_json(const sae::StepTraffic& traffic) {
  Traffic sum;
  for (const sae::GroupTraffic* group : {&traffic.dictionary, &traffic.data, &traffic.world}) {
    sum.all_reduce += group->sent.all_reduce;
    sum.reduce_scatter += group->sent.reduce_scatter;
    sum.all_gather += group->sent.all_gather;
    sum.all_to_all += group->sent.all_to_all;
  }
  return {{"all_reduce", sum.all_reduce},
          {"reduce_scatter", sum.reduce_scatter},
          {"all_gather", sum.all_gather},
          {"all_to_all", sum.all_to_all}};
}

json::object to_json(const sae::MeshPlan& plan, int64_t source_bytes, double tokens_per_step) {
  json::object memory = to_json(plan.footprint.segments);
  memory["source"] = source_bytes;
  memory["total"] = plan.footprint.memory_bytes + source_bytes;
  json::object sent = to_json(plan.traffic);
  sent["penalty"] = plan.penalty_bytes;
  sent["auxiliary"] = plan.auxiliary_bytes;
  sent["average"] = plan.sent_bytes;
  const double seconds = plan.time.total();
  return {{"data", plan.mesh.data},
          {"dictionary", plan.mesh.dictionary},
          {"data_parallel", name_of(plan.data_parallel)},
          {"fits", plan.fits},
          {"memory_bytes", memory},
          {"sent_bytes", sent},
          {"seconds",
           {{"products", plan.time.products},
            {"rows", plan.time.rows},
            {"optimizer", plan.time.optimizer},
            {"penalty", plan.time.penalty},
            {"wire", plan.time.wire},
            {"step", seconds}}},
          {"tokens_per_second", tokens_per_step / seconds}};
}

std::vector<MeshShape> asked_meshes(const Common& common, int ranks) {
  const MeshShape asked{common.mesh().data(), common.mesh().dictionary()};
  if (asked.data == 0 && asked.dictionary == 0) return sae::meshes_of(ranks);
  return {resolve_mesh(asked, ranks)};
}

// The fastest mesh that fits; the fastest where none does.
const sae::MeshPlan& cheapest(const std::vector<sae::MeshPlan>& plans) {
  return *std::min_element(plans.begin(), plans.end(), [](const sae::MeshPlan& a, const sae::MeshPlan& b) {
    if (a.fits != b.fits) return a.fits;
    return a.time.total() < b.time.total();
  });
}

}  // namespace

boost::json::object plan_training(const Common& common, const Train& own, const PlannedWorld& world) {
  JobMemory source(JobMemory::Counting{}, world.device == "cpu" ? kCpu : Device{DeviceKind::kCuda, 0});
  const int64_t d_model =
      count_source(own.source(), common.seed(), kernels::precision_from_name(own.precision()), world.d_model,
                   source.host(), source.device());
  const int64_t source_bytes = source.device().allocated_bytes();
  const PlanRates rates = plan_rates(world.device, world.ranks, common.threads());
  std::vector<sae::MeshPlan> plans;
  json::array meshes;
  json::array impossible;
  sae::TrainerConfig config;
  for (const MeshShape mesh : asked_meshes(common, world.ranks)) {
    try {
      config = trainer_config(common, own, mesh, d_model);
      refuse_impossible(config, mesh);
      plans.push_back(sae::plan_mesh(config, d_model, mesh, source_bytes, rates.device));
    } catch (const Error& error) {
      if (error.code() != ExitCode::kConfig) throw;
      impossible.push_back(
          json::object{{"data", mesh.data}, {"dictionary", mesh.dictionary}, {"reason", error.what()}});
      continue;
    }
    meshes.push_back(to_json(plans.back(), source_bytes, static_cast<double>(config.batch_tokens)));
  }
  if (plans.empty()) throw Error(ExitCode::kConfig, std::string(impossible[0].at("reason").as_string()));

  const sae::MeshPlan& best = cheapest(plans);
  const int64_t checkpoint = best.footprint.checkpoint_bytes;
  json::object result = {
      {"verb", "train"},
      {"world", world.ranks},
      {"device", world.device},
      {"d_model", d_model},
      {"architecture", name_of(config.conventions.architecture)},
      {"latents", config.conventions.latents},
      {"k", config.conventions.k},
      {"batch_tokens", config.batch_tokens},
      {"steps", config.steps},
      {"rates", rates.json()},
      {"source_memory_bytes", to_json(source.device().segments())},
      {"disk_bytes", {{"checkpoint", checkpoint}, {"kept", checkpoint * common.checkpoint().keep()}}},
      {"meshes", meshes},
      {"cheapest",
       {{"data", best.mesh.data},
        {"dictionary", best.mesh.dictionary},
        {"fits", best.fits},
        {"seconds_per_step", best.time.total()},
        {"tokens_per_second", static_cast<double>(config.batch_tokens) / best.time.total()},
        {"seconds", best.time.total() * static_cast<double>(config.steps)}}}};
  if (source.beside_bytes() > 0) result["host_memory_bytes"] = source.beside_bytes();
  if (!impossible.empty()) result["impossible"] = impossible;
  return result;
}

void count_training(const Common& common, const Train& own, MeshShape mesh, int rank, bool with_source,
                    JobMemory& counted) {
  const Device device = counted.device().device();
  JobMemory elsewhere(JobMemory::Counting{}, device);
  JobMemory& source = with_source ? counted : elsewhere;
  const int64_t d_model =
      count_source(own.source(), common.seed(), kernels::precision_from_name(own.precision()), 0,
                   source.host(), source.device());
  const sae::TrainerConfig config = trainer_config(common, own, mesh, d_model);
  refuse_impossible(config, mesh);
  const sae::TrainerFootprint footprint = sae::trainer_footprint(config, d_model, mesh, rank, device);
  for (const SegmentUse& use : footprint.segments) {
    (void)counted.device().allocate(use.segment, use.allocated_bytes);
  }
}

void predict_training(const Common& common, const Train& own, MeshShape mesh, int rank, int ranks_of_host,
                      bool with_source, JobMemory& memory) {
  JobMemory counted(JobMemory::Counting{}, memory.device().device());
  count_training(common, own, mesh, rank, with_source, counted);
  memory.predict(counted, "this training", ranks_of_host, kSmaller);
}

}  // namespace orthant::launch
