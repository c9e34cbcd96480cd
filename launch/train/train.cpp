// `orthant train`: a dictionary from activations.

#include "launch/config.pb.h"
#include "launch/plan/plan_table.h"
#include "launch/program/verb.h"
#include "launch/train/train_plan.h"
#include "launch/train/training_run.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

ExitCode run_train(Invocation& invocation) {
  TrainingRun run(invocation);
  sae::TrainingState state = run.advance();
  while (state == sae::TrainingState::kRunning) state = run.advance();
  return state == sae::TrainingState::kStopped ? ExitCode::kStopped : run.finish();
}

// Of the mesh that the training would have.
json::object plan_train(Invocation& asked) {
  const MeshShape mesh =
      resolve_mesh({asked.common.mesh().data(), asked.common.mesh().dictionary()}, asked.world.size());
  Common common = asked.common;
  common.mutable_mesh()->set_data(mesh.data);
  common.mutable_mesh()->set_dictionary(mesh.dictionary);
  return plan_training(common, asked.own<Train>(), {.ranks = asked.world.size()});
}

}  // namespace

Verb train_verb() {
  return {.name = "train",
          .summary = "train a sparse autoencoder on activations, sharded over ranks",
          .schema = Train::descriptor(),
          .run_use = RunUse::kOptional,
          .run = run_train,
          .plan = plan_train,
          .plan_table = training_plan_table,
          .runs_on_cuda = true};
}

}  // namespace orthant::launch
