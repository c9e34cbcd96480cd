#include "launch/sweep/cell_job.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <filesystem>

#include "launch/program/verb_run.h"
#include "runtime/core/failure.h"
#include "runtime/storage/file.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

// Attempts, but for those that were refused before their work began.
int64_t attempts_begun(const std::string& out) {
  json::error_code failed;
  const json::value run = json::parse(read_file(out + "/run.json"), failed);
  if (failed) return 0;
  int64_t begun = 0;
  for (const json::value& attempt : run.at("attempts").as_array()) {
    const json::object& fields = attempt.as_object();
    const bool has_begun = std::any_of(fields.begin(), fields.end(),
                                       [](const auto& field) { return field.key().starts_with("start_"); });
    if (has_begun || fields.at("end") != json::value("failed")) ++begun;
  }
  return begun;
}

}  // namespace

bool is_of_the_cell(const std::exception& problem, const World& world) {
  const Failure failure = failure_of(problem);
  if (failure.code == ExitCode::kPeer) return false;
  return world.size() == 1 || failure.message.starts_with("rank ");  // as agree() says it
}

CellJob::CellJob(const SweepCells& cells, const SweepCell& cell, const Invocation& sweep, World& world)
    : cell_(cell),
      log_(world.rank(), log_level_from_name(cell.config.as<Common>().log_level()), false),
      invocation_{.verb = *cells.verb,
                  .config = cell.config,
                  .common = cell.config.as<Common>(),
                  .world = world,
                  .log = log_,
                  .device = cells.device,
                  .threads = sweep.threads,
                  .prints = false,
                  .command_line = sweep.command_line} {
  if (sweep.common.has_stop_before()) invocation_.common.set_stop_before(sweep.common.stop_before());
  read_own_fields(invocation_);
}

bool CellJob::open() {
  run_ = open_run(invocation_, {.is_held = true});
  if (run_->result()) return false;
  enter_run(invocation_, *run_);
  return true;
}

ExitCode CellJob::run() {
  return invocation_.verb.run(invocation_);
}

void CellJob::end(ExitCode code) {
  run_->end(code, code == ExitCode::kStopped ? "stopped on request" : "finished");
}

void CellJob::end(const std::exception& problem) {
  const Failure failure = failure_of(problem);
  if (run_) run_->end(failure.code, failure.message);
}

json::object CellJob::head(const char* state) const {
  json::object record = {{"key", cell_.key}};
  if (!cell_.point.name.empty()) record["name"] = cell_.point.name;
  record["point"] = point_json(cell_);
  record["state"] = state;
  return record;
}

json::object CellJob::record() const {
  json::object record = head("done");
  record["runs"] = attempts_begun(invocation_.common.out());
  record["out"] = "cells/" + cell_.key;
  const json::value& result = *run_->result();
  if (!result.is_object()) record["result"] = result;
  for (const auto& [name, value] : result.is_object() ? result.get_object() : json::object()) {
    if (!record.contains(name)) record[name] = value;
  }
  return record;
}

json::object CellJob::record_of(const std::exception& problem) const {
  const Failure failure = failure_of(problem);
  json::object record = head("failed");
  record["runs"] = run_ ? attempts_begun(invocation_.common.out()) : 0;
  record["out"] = "cells/" + cell_.key;
  record["code"] = static_cast<int>(failure.code);
  record["reason"] = failure.message;
  return record;
}

}  // namespace orthant::launch
