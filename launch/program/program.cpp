#include "launch/program/program.h"

#include <fmt/format.h>
#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <exception>
#include <filesystem>
#include <optional>
#include <span>

#include "kernels/dense/reduce_parts.h"
#include "launch/config.pb.h"
#include "launch/program/command_line.h"
#include "launch/program/help.h"
#include "launch/program/precision_choice.h"
#include "launch/program/result.h"
#include "launch/program/verb.h"
#include "launch/program/verb_run.h"
#include "launch/program/version.h"
#include "runtime/comm/device_choice.h"
#include "runtime/core/failure.h"
#include "runtime/job/faults.h"
#include "runtime/job/signals.h"
#include "runtime/storage/file.h"

namespace orthant::launch {
namespace {

// CPU threads of a rank: what was asked for, or the cores this process may use over the ranks of the host.
int resolve_threads(int asked, int local_size) {
  if (asked > 0) return asked;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  const int usable = sched_getaffinity(0, sizeof(cores), &cores) == 0 ? CPU_COUNT(&cores) : 1;
  return std::max(1, usable / std::max(1, local_size));
}

Deadlines deadlines_of(const Request* request) {
  Deadlines deadlines;
  if (request == nullptr || !request->config || !request->verb->has_common_fields) return deadlines;
  deadlines.collective = std::chrono::seconds(request->config->as<Common>().collective_timeout());
  return deadlines;
}

void print_dry_run(Invocation& invocation) {
  if (invocation.world.rank() != 0) return;
  const Verb& verb = invocation.verb;
  const boost::json::object plan = verb.plan == nullptr ? boost::json::object() : verb.plan(invocation);
  if (!invocation.common.json()) {
    write_output(invocation.config.text());
    if (!plan.empty()) write_output(fmt::format("\n{}", verb.plan_table(plan)));
    return;
  }
  const boost::json::object document = {{"config", boost::json::parse(invocation.config.json())},
                                        {"plan", plan}};
  print_result({}, true, document);
}

void print_again(const Invocation& invocation, const std::string& result_text) {
  if (invocation.common.json()) return write_output(result_text);
  print_result(invocation.verb, false, boost::json::parse(result_text));
}

// Whether `out` holds an earlier run of a verb that works anew each time.
bool is_renewed(const Verb& verb, const std::string& out) {
  if (!verb.works_anew || !std::filesystem::exists(out + "/run.json")) return false;
  boost::json::error_code failed;
  const boost::json::value run = boost::json::parse(read_file(out + "/run.json"), failed);
  const boost::json::value* earlier =
      failed || !run.is_object() ? nullptr : run.get_object().if_contains("verb");
  return earlier != nullptr && *earlier == boost::json::value(verb.name);
}

// Collective.
Device device_of(const Invocation& invocation) {
  const std::string& asked = invocation.common.device();
  const bool takes_cpu = !invocation.verb.runs_on_cuda && asked == "auto";
  const Device device =
      choose_device(takes_cpu ? "cpu" : asked, invocation.world.local_rank, *invocation.world.control);
  if (device.kind == DeviceKind::kCpu || invocation.verb.runs_on_cuda) return device;
  throw Error(ExitCode::kDevice,
              {.problem = fmt::format("verb '{}' cannot compute on CUDA devices", invocation.verb.name),
               .why = "it has no CUDA part",
               .suggestion = "Use --device=cpu."});
}

// Where the products of the job are computed, or would be.
Device products_device(const Invocation& invocation) {
  if (invocation.verb.borrowed == nullptr) return invocation.device;
  const bool is_cpu = invocation.config.as<Plan>().plan().device() == "cpu";
  return is_cpu ? kCpu : Device{DeviceKind::kCuda, 0};
}

ExitCode run_verb(Request& request, MpiSession& session, World& world,
                  const std::vector<std::string>& command_line) {
  const Verb& verb = *request.verb;
  Common common;
  if (verb.has_common_fields) request.config->copy_into(common);
  Log log(world.rank(), log_level_from_name(common.log_level()));
  Invocation invocation{.verb = verb,
                        .config = *request.config,
                        .common = common,
                        .world = world,
                        .log = log,
                        .command_line = command_line};
  read_own_fields(invocation);
  if (!verb.has_common_fields) return verb.run(invocation);

  invocation.device = device_of(invocation);
  settle_precision(*request.config, products_device(invocation));
  read_own_fields(invocation);
  invocation.threads = resolve_threads(common.threads(), world.local_size);
  omp_set_num_threads(invocation.threads);
  if (common.dry_run()) {
    print_dry_run(invocation);
    return ExitCode::kDone;
  }
  session.use_device(world, invocation.device, kernels::cuda::reduce_parts);
  // The run directory in a file of the planned verb is that verb's, not the plan's.
  const bool has_out =
      common.has_out() && (verb.borrowed == nullptr || request.config->is_set_by_flag("out"));
  if (!has_out && (verb.run_use == RunUse::kRequired || verb.run_use == RunUse::kShared)) {
    throw Error(ExitCode::kUsage,
                ErrorText{.problem = fmt::format("verb '{}' needs a run directory", verb.name),
                          .suggestion = "Give one with --out=DIR."});
  }
  if (!has_out || verb.run_use == RunUse::kNone || verb.run_use == RunUse::kShared) {
    return verb.run(invocation);
  }
  const bool fresh = common.fresh() || is_renewed(verb, common.out());
  const DirectoryRun run = run_in_directory(invocation, {.fresh = fresh});
  if (run.is_finished_before && world.rank() == 0) print_again(invocation, run.result_text);
  return run.code;
}

ExitCode answer(Request& request, MpiSession& session, World& world,
                const std::vector<std::string>& command_line) {
  const bool prints = world.rank() == 0;
  if (request.version) {
    if (prints) write_output(version_text());
  } else if (request.help) {
    if (prints) write_output(request.verb == nullptr ? program_help() : verb_help(*request.verb));
  } else {
    return run_verb(request, session, world, command_line);
  }
  return ExitCode::kDone;
}

}  // namespace

int run_program(const std::vector<std::string>& arguments) {
  install_stop_signals();  // before MPI starts: until then a stop signal ends the process
  std::optional<Request> request;
  std::exception_ptr problem;
  try {
    request = parse_command_line(std::span(arguments).subspan(1));
  } catch (...) {
    problem = std::current_exception();
  }
  try {
    MpiSession session(deadlines_of(request ? &*request : nullptr));
    return run_ranks(session, [&](World world) {
      if (problem) std::rethrow_exception(problem);
      arm_faults_from_environment(world.rank());
      const ExitCode code = answer(*request, session, world, arguments);
      // A GPU may still be sending what its peers wait for.
      if (world.data->device().kind == DeviceKind::kCuda) world.data->close();
      return static_cast<int>(code);
    });
  } catch (const std::exception& exception) {
    const Failure failure = failure_of(exception);
    fmt::print(stderr, "orthant: {}\n", failure.message);
    return static_cast<int>(failure.code);
  }
}

}  // namespace orthant::launch
