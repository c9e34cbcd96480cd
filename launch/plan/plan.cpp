// `orthant plan VERB`: what a verb would need with these fields, for one that has a plan.

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "launch/config.pb.h"
#include "launch/harvest/harvest_plan.h"
#include "launch/plan/plan_table.h"
#include "launch/program/verb.h"
#include "launch/train/train_plan.h"
#include "runtime/report/run_summary.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

// A finished run that a plan is set beside.
struct FinishedRun {
  RunSummary summary;
  MeshShape mesh;
  [[nodiscard]] int ranks() const { return mesh.data * mesh.dictionary; }
  [[nodiscard]] double measured(const char* name) const {
    const json::value* value = summary.result.if_contains(name);
    return value == nullptr || !value->is_number() ? 0.0 : value->to_number<double>();
  }
};

FinishedRun finished_run(const std::string& path, std::string_view verb) {
  FinishedRun run{.summary = read_run(path, {}), .mesh = {}};
  const json::value* mesh = run.summary.run.if_contains("mesh");
  if (run.summary.verb() != verb || run.summary.result.empty() || mesh == nullptr) {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("{} is no finished run of `orthant {}`", path, verb),
                 .why = run.summary.result.empty() ? "it has no result" : "its run.json says otherwise",
                 .suggestion = "Give --compare a run directory with a result.json."});
  }
  run.mesh = {.data = mesh->at("data").to_number<int>(),
              .dictionary = mesh->at("dictionary").to_number<int>()};
  return run;
}

PlannedWorld planned_world(const Invocation& invocation, const FinishedRun* run) {
  const Planned& planned = invocation.own<Plan>().plan();
  PlannedWorld world{.ranks = planned.world(), .device = planned.device(), .d_model = planned.d_model()};
  if (world.ranks == 0) world.ranks = run != nullptr ? run->ranks() : invocation.world.size();
  if (run == nullptr || world.ranks == run->ranks()) return world;
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("the run of --compare had {} ranks, the plan is of {}", run->ranks(),
                                      world.ranks),
               .why = "predictions are compared at the same mesh",
               .suggestion = fmt::format("Set --plan.world={}.", run->ranks())});
}

json::object side_by_side(double predicted, double measured) {
  return {{"predicted", predicted}, {"measured", measured}};
}

json::object compare_training(const json::object& plan, const FinishedRun& run) {
  for (const json::value& mesh : plan.at("meshes").as_array()) {
    if (mesh.at("data").to_number<int>() != run.mesh.data ||
        mesh.at("dictionary").to_number<int>() != run.mesh.dictionary) {
      continue;
    }
    const double memory = mesh.at("memory_bytes").at("total").to_number<double>();
    const double rate = run.measured("tokens_per_second");
    const double batch = plan.at("batch_tokens").to_number<double>();
    json::object compared = {
        {"run", run.summary.path},
        {"seconds_per_step",
         side_by_side(mesh.at("seconds").at("step").to_number<double>(), rate > 0.0 ? batch / rate : 0.0)}};
    for (const char* bytes : {"memory_bytes", "peak_resident_bytes"}) {
      if (run.summary.result.contains(bytes)) compared[bytes] = side_by_side(memory, run.measured(bytes));
    }
    return compared;
  }
  throw Error(ExitCode::kConfig, {.problem = fmt::format("the run of --compare had the mesh {}x{}",
                                                         run.mesh.data, run.mesh.dictionary),
                                  .why = "the plan has no such mesh",
                                  .suggestion = "Leave out mesh.data and mesh.dictionary."});
}

json::object compare_harvest(const json::object& plan, const FinishedRun& run) {
  return {{"run", run.summary.path},
          {"tokens_per_second", side_by_side(plan.at("tokens_per_second").to_number<double>(),
                                             run.measured("tokens_per_second"))}};
}

using PlanOf = json::object (*)(const Invocation&, const PlannedWorld&);
using Compare = json::object (*)(const json::object& plan, const FinishedRun& run);

// Rank 0 makes the plan, so that a measured peak is the same for all.
ExitCode finish_plan(Invocation& invocation, std::string_view verb, PlanOf plan_of, Compare compare) {
  std::string text;
  agree(*invocation.world.control, "plan", [&] {
    if (invocation.world.rank() != 0) return;
    const std::string& path = invocation.own<Plan>().compare();
    std::optional<FinishedRun> run;
    if (!path.empty()) run = finished_run(path, verb);
    json::object plan = plan_of(invocation, planned_world(invocation, run ? &*run : nullptr));
    if (run) plan["compare"] = compare(plan, *run);
    text = json::serialize(plan);
  });
  invocation.world.control->broadcast(text, 0);
  return invocation.finish(json::parse(text));
}

ExitCode run_plan_train(Invocation& invocation) {
  const auto plan = [](const Invocation& asked, const PlannedWorld& world) {
    return plan_training(asked.common, asked.config.as<Train>(), world);
  };
  return finish_plan(invocation, "train", plan, compare_training);
}

ExitCode run_plan_harvest(Invocation& invocation) {
  const auto plan = [](const Invocation& asked, const PlannedWorld& world) {
    return plan_harvest(asked.common, asked.config.as<Harvest>(), world);
  };
  return finish_plan(invocation, "harvest", plan, compare_harvest);
}

}  // namespace

Verb plan_train_verb() {
  return {.name = "plan train",
          .summary = "predict memory, bytes on the wire, disk and time of a training at every mesh",
          .schema = Plan::descriptor(),
          .run_use = RunUse::kOptional,
          .run = run_plan_train,
          .table = training_plan_table,
          .works_anew = true,
          .borrowed = Train::descriptor()};
}

Verb plan_harvest_verb() {
  return {.name = "plan harvest",
          .summary = "predict memory, disk and time of a harvest",
          .schema = Plan::descriptor(),
          .run_use = RunUse::kOptional,
          .run = run_plan_harvest,
          .table = harvest_plan_table,
          .works_anew = true,
          .borrowed = Harvest::descriptor()};
}

}  // namespace orthant::launch
