// `orthant sweep`: a grid of configurations of one verb, shared by ranks and jobs.

#include <fmt/format.h>

#include <boost/json.hpp>
#include <filesystem>

#include "launch/program/refuse.h"
#include "launch/program/result.h"
#include "launch/program/verb.h"
#include "launch/program/verb_run.h"
#include "launch/sweep/sweep_cells.h"
#include "launch/sweep/sweep_rows.h"
#include "launch/sweep/sweep_work.h"
#include "runtime/core/failure.h"
#include "runtime/job/cell_records.h"
#include "runtime/job/directory_lock.h"
#include "runtime/job/run_directory.h"
#include "runtime/job/sweep.pb.h"
#include "runtime/storage/file.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

json::object result_of(const SweepCells& cells, const CellRecords& records) {
  json::array rows;
  int64_t failed = 0;
  for (const SweepCell& cell : cells.cells) {
    std::optional<json::object> record = records.read(cell.key);
    require(record.has_value(), "a sweep that is finished has every record");
    if (record->at("state") == json::value("failed")) ++failed;
    rows.push_back(std::move(*record));
  }
  const auto total = static_cast<int64_t>(rows.size());
  return {
      {"verb", cells.verb->name}, {"done", total - failed}, {"failed", failed}, {"cells", std::move(rows)}};
}

std::string printed(const Sweep& sweep, bool as_json, const json::object& result) {
  const std::vector<std::string> where(sweep.where().begin(), sweep.where().end());
  const std::vector<json::object> cells = chosen_cells(result.at("cells").as_array(), where, sweep.best());
  if (as_json) {
    json::object document = result;
    document["cells"] = json::array(cells.begin(), cells.end());
    return json::serialize(document) + "\n";
  }
  if (sweep.format() == "jsonl") return cells_jsonl(cells);
  if (sweep.format() == "csv") return cells_csv(cells);
  return cells_table(cells);
}

using CellLocks = std::vector<std::unique_ptr<DirectoryLock>>;

// Takes every cell that there is, so that nobody works on one. Throws Error(kConfig) where a job does.
void lock_all(const std::string& out, CellLocks& locks) {
  for (const std::string& cell : names_in(out + "/cells")) {
    locks.push_back(DirectoryLock::take_if_free(out + "/cells/" + cell));
    if (locks.back()) continue;
    refuse(fmt::format("the cells of '{}' cannot be taken back", out),
           fmt::format("another job works on its cell {}", cell), "Wait for it, or choose another --out.");
  }
}

// The result goes first: it is made of the records.
void forget_failures(const std::string& out, const SweepCells& cells) {
  remove_path(out + "/result.json");
  const CellRecords records(out + "/records");
  for (const SweepCell& cell : cells.cells) {
    const std::optional<json::object> record = records.read(cell.key);
    if (record && record->at("state") == json::value("failed")) records.remove(cell.key);
  }
}

std::unique_ptr<RunDirectory> open_sweep(const Invocation& invocation, const Sweep& sweep,
                                         const SweepCells& cells) {
  const std::string& out = invocation.common.out();
  const bool fresh = invocation.common.fresh();
  CellLocks locks;
  return open_run(invocation, {.fresh = fresh, .is_shared = true, .prepare = [&] {
                                 if (!fresh && !sweep.retry()) return;
                                 lock_all(out, locks);
                                 if (!fresh) forget_failures(out, cells);
                               }});
}

ExitCode finish(Invocation& invocation, const Sweep& sweep, RunDirectory& run, const json::object& result) {
  if (!run.result()) run.finish(result);
  std::string text;
  agree(*invocation.world.control, "show the cells", [&] {
    if (invocation.world.rank() == 0) text = printed(sweep, invocation.common.json(), result);
  });
  if (invocation.world.rank() == 0) write_output(text);
  return ExitCode::kDone;
}

ExitCode run_sweep(Invocation& invocation) {
  const Sweep& sweep = invocation.own<Sweep>();
  const std::string& out = invocation.common.out();
  const SweepCells cells = sweep_cells(invocation.config, out, invocation.device);
  for (const std::string& condition : sweep.where()) (void)parse_condition(condition);
  const auto run = open_sweep(invocation, sweep, cells);
  if (run->result()) return finish(invocation, sweep, *run, run->result()->as_object());
  enter_run(invocation, *run);
  try {
    const CellRecords records(out + "/records");
    run->begin_attempt("cell", records.count());
    invocation.log.info("{} cells of {}, {} ranks each", cells.cells.size(), cells.verb->name,
                        cells.group_size);
    const ExitCode code = work_on_cells(invocation, cells, records, sweep.pack());
    if (code == ExitCode::kDone) (void)finish(invocation, sweep, *run, result_of(cells, records));
    run->end(code, code == ExitCode::kStopped ? "stopped on request" : "finished");
    return code;
  } catch (const std::exception& exception) {
    const Failure failure = failure_of(exception);
    run->end(failure.code, failure.message);
    throw;
  }
}

// The grid, without running anything.
json::object plan_sweep(Invocation& asked) {
  const SweepCells cells = sweep_cells(asked.config, asked.common.out(), asked.device);
  json::array rows;
  for (const SweepCell& cell : cells.cells) {
    rows.push_back(json::object{{"key", cell.key}, {"point", point_json(cell)}});
  }
  return {{"verb", cells.verb->name}, {"ranks_of_a_cell", cells.group_size}, {"cells", std::move(rows)}};
}

std::string grid_table(const json::value& plan) {
  std::vector<json::object> cells;
  for (const json::value& cell : plan.at("cells").as_array()) {
    cells.push_back(cell.as_object());
    cells.back()["state"] = "planned";
  }
  return fmt::format("{} cells\n{}", cells.size(), cells_table(cells));
}

}  // namespace

Verb sweep_verb() {
  return {.name = "sweep",
          .summary = "run a grid of configurations of a verb, resumably, shared by ranks and jobs",
          .schema = Sweep::descriptor(),
          .run_use = RunUse::kShared,
          .run = run_sweep,
          .plan = plan_sweep,
          .plan_table = grid_table,
          .runs_on_cuda = true,
          .holds_verbs = true};
}

}  // namespace orthant::launch
