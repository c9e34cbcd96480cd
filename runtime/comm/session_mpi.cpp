#include <fmt/format.h>
#include <mpi.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <thread>

#include "runtime/comm/environment_nccl.h"
#include "runtime/comm/launcher.h"
#include "runtime/comm/mpi_planes.h"
#include "runtime/comm/self.h"
#include "runtime/comm/start_nccl.h"
#include "runtime/comm/world.h"
#include "runtime/core/error.h"
#include "runtime/core/failure.h"

namespace orthant {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kGraceOfFailure{2000};
constexpr milliseconds kPoll{1};

// What ranks agreed on names the rank that failed by itself.
void print_failure(int rank, int size, const std::string& message) {
  if (message.empty()) return;
  const bool is_agreed = message.starts_with("rank ");
  const std::string origin = size > 1 && !is_agreed ? fmt::format("rank {}: ", rank) : "";
  const std::string line = fmt::format("orthant: {}{}\n", origin, message);
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
}

void start_mpi() {
  // Copies through the kernel are slower than copies through shared memory up to 16 MiB. A user's setting
  // wins.
  ::setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
  int provided = MPI_THREAD_SINGLE;
  check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  if (provided >= MPI_THREAD_FUNNELED) return;
  throw Error(ExitCode::kConfig, {.problem = "MPI gives no thread support",
                                  .why = "ranks compute with threads, MPI_THREAD_FUNNELED is needed",
                                  .suggestion = "Use an MPI that was built with thread support."});
}

}  // namespace

struct MpiSession::State {
  State(int launched_rank, Deadlines deadlines) : watchdog(launched_rank, deadlines, OnDeadline::kExit) {
    const auto watch = watchdog.watch({"MPI_Init_thread", Dtype::kU8, 0, 0});
    start_mpi();
    check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &ending), "MPI_Comm_dup");
    check_mpi(MPI_Comm_set_errhandler(ending, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check_mpi(MPI_Comm_rank(ending, &rank), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(ending, &size), "MPI_Comm_size");
    watchdog.recorder().set_rank(rank);
  }
  ~State() {
    const auto watch = watchdog.watch({"MPI_Finalize", Dtype::kU8, 0, size});
    MPI_Finalize();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // The lowest rank that ends with a code other than 0, or `size`; ends the job when a failing rank waits in
  // vain.
  int first_failing(int code, const std::string& message) const {
    int mine = code == 0 ? size : rank, lowest = size, arrived = 0;
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(MPI_Iallreduce(&mine, &lowest, 1, MPI_INT, MPI_MIN, ending, &request), "MPI_Iallreduce");
    const auto give_up = std::chrono::steady_clock::now() + kGraceOfFailure;
    while (true) {
      check_mpi(MPI_Test(&request, &arrived, MPI_STATUS_IGNORE), "MPI_Test");
      if (arrived != 0) return lowest;
      if (code != 0 && std::chrono::steady_clock::now() > give_up) {
        print_failure(rank, size, message);
        MPI_Abort(MPI_COMM_WORLD, code);
      }
      std::this_thread::sleep_for(kPoll);
    }
  }

  Watchdog watchdog;
  NcclApi nccl;  // of a world of GPUs
  MPI_Comm ending = MPI_COMM_NULL;
  int rank = 0;
  int size = 1;
};

MpiSession::MpiSession(Deadlines deadlines) {
  if (const std::optional<int> rank = rank_from_launcher())
    state_ = std::make_unique<State>(*rank, deadlines);
}

MpiSession::~MpiSession() = default;

World MpiSession::world() {
  if (!state_) return make_self_world();
  World world{.data = make_mpi_communicator(state_->watchdog),
              .control = make_mpi_control_group(state_->watchdog)};
  const auto watch = state_->watchdog.watch({"MPI_Comm_split_type", Dtype::kU8, 0, state_->size});
  MPI_Comm host = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host),
            "MPI_Comm_split_type");
  check_mpi(MPI_Comm_rank(host, &world.local_rank), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(host, &world.local_size), "MPI_Comm_size");
  check_mpi(MPI_Comm_free(&host), "MPI_Comm_free");
  return world;
}

void MpiSession::use_device(World& world, Device device, const ReduceOnDevice& reduce) {
  if (device.kind == world.data->device().kind) return;
  world.data->close();
  if (world.size() == 1) {
    world.data = make_self_communicator(device);
    return;
  }
  NcclRank own{.watchdog = &state_->watchdog, .device = device.index};
  own.progress = [group = state_->ending] {
    int arrived = 0;
    check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, group, &arrived, MPI_STATUS_IGNORE), "MPI_Iprobe");
  };
  agree(*world.control, "prepare NCCL", [&] {
    state_->nccl = nccl_api(reduce);
    own.api = &state_->nccl;
    prepare_nccl_environment(world.control->rank());
  });
  world.data = start_nccl(own, *world.control);
}

int MpiSession::finish(int code, const std::string& message) {
  if (!state_) {
    if (code != 0) print_failure(0, 1, message);
    return code;
  }
  const auto watch = state_->watchdog.watch({"finish", Dtype::kU8, 0, state_->size});
  const int failing = state_->first_failing(code, message);
  if (failing == state_->size) return 0;
  if (failing == state_->rank) print_failure(state_->rank, state_->size, message);
  check_mpi(MPI_Bcast(&code, 1, MPI_INT, failing, state_->ending), "MPI_Bcast");
  return code;
}

int run_ranks(MpiSession& session, const std::function<int(World)>& body) {
  int code = 0;
  std::string message;
  try {
    code = body(session.world());
  } catch (const std::exception& exception) {
    const Failure failure = failure_of(exception);
    code = static_cast<int>(failure.code);
    message = failure.message;
  }
  return session.finish(code, message);
}

int run_ranks(Deadlines deadlines, const std::function<int(World)>& body) {
  std::optional<MpiSession> session;
  try {
    session.emplace(deadlines);
  } catch (const Error& error) {
    print_failure(0, 1, error.what());
    return static_cast<int>(error.code());
  }
  return run_ranks(*session, body);
}

}  // namespace orthant
