#include "launch/program/verb_run.h"

#include <boost/json/object.hpp>

#include "kernels/isa/isa.h"
#include "launch/program/version.h"
#include "runtime/comm/start_nccl.h"
#include "runtime/core/failure.h"

namespace orthant::launch {
namespace {

// The verb's own field of that name; empty where it has none.
std::string precision_of(const Invocation& invocation) {
  const google::protobuf::FieldDescriptor* field = invocation.verb.schema->FindFieldByName("precision");
  if (field == nullptr) return "";
  return invocation.own_fields->GetReflection()->GetString(*invocation.own_fields, field);
}

RunFacts facts_of(const Invocation& invocation) {
  const Mesh& asked = invocation.common.mesh();
  // The mesh that a plan is asked about, and that of the cells of a sweep, is of another world than this one.
  const bool is_of_another =
      invocation.verb.borrowed != nullptr || invocation.verb.run_use == RunUse::kShared;
  const MeshShape mesh = resolve_mesh(
      is_of_another ? MeshShape{} : MeshShape{asked.data(), asked.dictionary()}, invocation.world.size());
  return {.version = version(),
          .git_hash = git_hash(),
          .command_line = invocation.command_line,
          .device = to_string(invocation.device),
          .threads = invocation.threads,
          .kernels = std::string(kernels::name_of(kernels::active_isa())),
          .precision = precision_of(invocation),
          .mesh_data = mesh.data,
          .mesh_dictionary = mesh.dictionary};
}

boost::json::object nccl_record() {
  boost::json::object record;
  for (const auto& [name, value] : nccl_facts(nccl_api())) record[name] = value;
  return record;
}

}  // namespace

void read_own_fields(Invocation& invocation) {
  const auto* prototype =
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(invocation.verb.schema);
  invocation.own_fields.reset(prototype->New());
  invocation.config.copy_into(*invocation.own_fields);
}

std::unique_ptr<RunDirectory> open_run(const Invocation& invocation, RunAccess access) {
  return RunDirectory::open(invocation.common.out(), invocation.config, facts_of(invocation), access,
                            *invocation.world.control, invocation.log);
}

void enter_run(Invocation& invocation, RunDirectory& run) {
  invocation.run = &run;
  if (invocation.world.data->kind() == "nccl") run.record("nccl", nccl_record());
  invocation.world.control->set_flight_folder(run.file("log"));
}

DirectoryRun run_in_directory(Invocation& invocation, RunAccess access) {
  const auto run = open_run(invocation, access);
  if (run->result()) return {.is_finished_before = true, .result_text = run->result_text()};
  enter_run(invocation, *run);
  try {
    const ExitCode code = invocation.verb.run(invocation);
    run->end(code, code == ExitCode::kStopped ? "stopped on request" : "finished");
    return {.code = code};
  } catch (const std::exception& exception) {
    const Failure failure = failure_of(exception);
    run->end(failure.code, failure.message);
    throw;
  }
}

}  // namespace orthant::launch
