#include "launch/program/verb.h"

#include <algorithm>
#include <cstdio>

#include "launch/program/result.h"
#include "runtime/job/run_directory.h"

namespace orthant::launch {

std::string group_name(const Verb& verb) {
  std::string name = verb.name;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

bool may_be_cell(const Verb& verb) {
  return verb.run_use != RunUse::kNone && verb.run_use != RunUse::kShared && !verb.works_anew &&
         verb.borrowed == nullptr;
}

std::shared_ptr<const ConfigSchema> schema_of(const Verb& verb) {
  std::vector<NestedVerb> nested;
  for (const Verb& other : verb.holds_verbs ? verbs() : std::vector<Verb>()) {
    if (may_be_cell(other)) nested.push_back({group_name(other), other.schema, Common::descriptor()});
  }
  const auto* common = verb.has_common_fields ? Common::descriptor() : nullptr;
  return std::make_shared<const ConfigSchema>(verb.name, *verb.schema, common, verb.borrowed, nested);
}

ExitCode Invocation::finish(const boost::json::value& result) {
  if (run != nullptr) run->finish(result);
  if (prints && world.rank() == 0) print_result(verb, common.json(), result);
  return ExitCode::kDone;
}

}  // namespace orthant::launch
