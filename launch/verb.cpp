#include "launch/verb.h"

#include <cstdio>

#include "launch/result.h"
#include "runtime/job/run_directory.h"

namespace orthant::launch {

std::shared_ptr<const ConfigSchema> schema_of(const Verb& verb) {
  const auto* common = verb.has_common_fields ? Common::descriptor() : nullptr;
  return std::make_shared<const ConfigSchema>(verb.name, *verb.schema, common, verb.borrowed);
}

ExitCode Invocation::finish(const boost::json::value& result) {
  if (run != nullptr) run->finish(result);
  if (world.rank() == 0) print_result(verb, common.json(), result);
  return ExitCode::kDone;
}

}  // namespace orthant::launch
