#include "launch/evaluate/evaluation_job.h"

#include "launch/program/virtual_shards.h"
#include "runtime/job/signals.h"

namespace orthant::launch {

EvaluationJob::EvaluationJob(Invocation& call)
    : invocation(call),
      own(call.own<Evaluate>()),
      world(call.world),
      precision(kernels::precision_from_name(own.precision())),
      virtual_shards(virtual_shards_of(call.common)),
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

std::string text_or(const boost::json::object& fields, const char* name, const std::string& otherwise) {
  const boost::json::value* value = fields.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : otherwise;
}

}  // namespace orthant::launch
