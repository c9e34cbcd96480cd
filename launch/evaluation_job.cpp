#include "launch/evaluation_job.h"

#include "runtime/core/error.h"
#include "runtime/job/signals.h"

namespace orthant::launch {
namespace {

constexpr int kVirtualShards = 12;

}  // namespace

EvaluationJob::EvaluationJob(Invocation& call)
    : invocation(call),
      own(call.own<Evaluate>()),
      world(call.world),
      precision(kernels::precision_from_name(own.precision())),
      virtual_shards(call.common.deterministic() ? kVirtualShards : 0),
      grid(make_grid(
          *call.world.data,
          resolve_mesh({call.common.mesh().data(), call.common.mesh().dictionary()}, call.world.size()))),
      memory(call.device),
      stream(call.device) {}

sae::Dictionary placed(sae::Dictionary dictionary, Memory& memory) {
  if (memory.device() == kCpu) return dictionary;
  return sae::copy_of(dictionary, memory, "dictionary");
}

void stop_if_asked(ControlGroup& control) {
  if (control.bit_or(stop_requested() ? 1 : 0) != 0) throw EvaluationStopped{};
}

void refuse(const std::string& problem, const std::string& why, const std::string& suggestion) {
  throw Error(ExitCode::kConfig, {.problem = problem, .why = why, .suggestion = suggestion});
}

std::string text_or(const boost::json::object& fields, const char* name, const std::string& otherwise) {
  const boost::json::value* value = fields.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : otherwise;
}

}  // namespace orthant::launch
