// `orthant inspect PATH`: what a file or directory is.

#include "launch/config.pb.h"
#include "launch/files/artefact.h"
#include "launch/program/path_field.h"
#include "launch/program/result.h"
#include "launch/program/verb.h"

namespace orthant::launch {
namespace {

ExitCode run_inspect(Invocation& invocation) {
  return invocation.finish(inspect_artefact(given_path(invocation, invocation.own<Inspect>().path())));
}

// The configuration of a run is a page by itself and has its own file.
std::string inspect_table(const boost::json::value& result) {
  boost::json::object shown = result.as_object();
  if (boost::json::value* origin = shown.if_contains("origin")) origin->as_object().erase("config");
  return plain_table(shown);
}

}  // namespace

Verb inspect_verb() {
  return {.name = "inspect",
          .summary = "say what a file or directory is: kind, sizes, shapes, hashes",
          .schema = Inspect::descriptor(),
          .positional = {"path"},
          .run = run_inspect,
          .table = inspect_table};
}

}  // namespace orthant::launch
