// A verb's job in its run directory: how it is opened, and how it is recorded that it ended. Collective over
// the world of the invocation; main thread only.
#pragma once

#include <memory>
#include <string>

#include "launch/program/verb.h"
#include "runtime/job/run_directory.h"

namespace orthant::launch {

// Reads the verb's own fields from its configuration. Local.
void read_own_fields(Invocation& invocation);

// The run directory `common.out`, with what run.json says of this process.
[[nodiscard]] std::unique_ptr<RunDirectory> open_run(const Invocation& invocation, RunAccess access);
// Makes `run` the invocation's, for the work that follows.
void enter_run(Invocation& invocation, RunDirectory& run);

struct DirectoryRun {
  ExitCode code = ExitCode::kDone;
  bool is_finished_before = false;  // by an earlier attempt: the verb did not run
  std::string result_text = {};     // then
};
// Runs the verb unless it has finished before. What it throws is recorded and thrown on.
[[nodiscard]] DirectoryRun run_in_directory(Invocation& invocation, RunAccess access);

}  // namespace orthant::launch
