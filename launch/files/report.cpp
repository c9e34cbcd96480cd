#include <fmt/format.h>

#include <boost/json.hpp>
#include <filesystem>

#include "launch/config.pb.h"
#include "launch/program/verb.h"
#include "launch/program/version.h"
#include "runtime/job/host.h"
#include "runtime/job/run_directory.h"
#include "runtime/report/run_report.h"
#include "runtime/storage/file.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

void require_runs(const Report& report, const std::string& out) {
  if (report.run_size() == 0) {
    throw Error(ExitCode::kUsage, ErrorText{.problem = "no run is named",
                                            .suggestion = "Use `orthant report RUN... --out=DIR`."});
  }
  for (const std::string& run : report.run()) {
    std::error_code absent;
    if (std::filesystem::equivalent(run, out, absent)) {
      throw Error(ExitCode::kConfig, {.problem = fmt::format("--out is the run '{}' itself", run),
                                      .suggestion = "Choose a directory of its own for the report."});
    }
  }
}

std::vector<RunSummary> read_runs(const Report& report) {
  std::vector<RunSummary> runs;
  for (const std::string& run : report.run()) {
    runs.push_back(read_run(run, {.latents = report.latents(), .contexts = report.contexts()}));
  }
  name_runs(runs);
  return runs;
}

json::object result_of(const std::string& page, const std::vector<RunSummary>& runs) {
  json::array names;
  int64_t remarks = 0;
  for (const RunSummary& run : runs) {
    names.emplace_back(run.name);
    remarks += static_cast<int64_t>(run.remarks.size());
  }
  return {{"report", page}, {"runs", names}, {"remarks", remarks}};
}

ExitCode run_report_verb(Invocation& invocation) {
  const Report& report = invocation.own<Report>();
  ControlGroup& group = *invocation.world.control;
  const std::string page = invocation.run->file("report.html");
  std::string result;
  agree(group, "write the report", [&] {
    if (group.rank() != 0) return;
    require_runs(report, invocation.run->path());
    const std::vector<RunSummary> runs = read_runs(report);
    for (const RunSummary& run : runs) {
      for (const std::string& remark : run.remarks) invocation.log.warning("{}: {}", run.path, remark);
    }
    const std::string written =
        fmt::format("Written {} by orthant {} ({}).", utc_now(), version(), git_hash());
    replace_file(page, run_report(runs, {.title = report.title(), .written = written}));
    result = json::serialize(result_of(page, runs));
  });
  group.broadcast(result, 0);
  return invocation.finish(json::parse(result));
}

}  // namespace

Verb report_verb() {
  return {.name = "report",
          .summary = "one self-contained page that compares runs",
          .schema = Report::descriptor(),
          .positional = {"run"},
          .run_use = RunUse::kRequired,
          .run = run_report_verb,
          .works_anew = true};
}

}  // namespace orthant::launch
