// One rank of an MPI job that ends in the way its first argument names; FOLDER, the second, takes flight
// records. Run by tests/runtime/comm/mpi_job_test.cpp under mpirun. Rank 1 is the one that fails.
#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

#include "runtime/comm/world.h"
#include "runtime/core/error.h"
#include "runtime/job/faults.h"
#include "runtime/job/signals.h"

namespace orthant {
namespace {

// Long after every deadline and grace of these jobs.
constexpr std::chrono::seconds kVeryLong{60};

int sum_with(World& world) {
  Stream stream;
  float value = 1.0f;
  world.data->all_reduce(&value, 1, Dtype::kF32, ReduceOp::kSum, stream);
  return value == static_cast<float>(world.size()) ? 0 : 1;
}

int steps(World& world) {
  for (int step = 0; step < 5; ++step) {
    fault_point("step");
    if (sum_with(world) != 0) return 1;
  }
  return 0;
}

int until_stopped(World& world, const std::string& folder) {
  world.control->barrier();
  if (world.rank() == 0) std::ofstream(folder + "/ready") << "ready\n";
  while (world.control->bit_or(stop_requested() ? 1 : 0) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return static_cast<int>(ExitCode::kStopped);
}

int end_as(const std::string& mode, World world, const std::string& folder) {
  world.control->set_flight_folder(folder);
  world.control->barrier();
  world.control->end_startup();
  arm_faults_from_environment(world.rank());
  if (mode == "steps") return steps(world);
  if (mode == "until_stopped") return until_stopped(world, folder);
  if (mode == "all_fail") throw Error(ExitCode::kConfig, "k=0 (k is at least 1)");
  if (mode == "agreed") {
    agree(*world.control, "open the store", [&] {
      if (world.rank() == 1) throw Error(ExitCode::kIo, "shard 1 is absent");
    });
  }
  if (mode == "one_throws" && world.rank() == 1) throw Error(ExitCode::kData, "shard 1 is damaged");
  if (mode == "never_comes" && world.rank() == 1) std::this_thread::sleep_for(kVeryLong);
  return sum_with(world);
}

// As a program does that was asked to compute on GPUs.
int use_gpus(Deadlines deadlines) {
  MpiSession session(deadlines);
  return run_ranks(session, [&](World world) {
    session.use_device(world, {DeviceKind::kCuda, 0}, {});
    return sum_with(world);
  });
}

}  // namespace
}  // namespace orthant

int main(int argc, char** argv) {
  using orthant::Deadlines;
  if (argc != 3) return static_cast<int>(orthant::ExitCode::kUsage);
  orthant::install_stop_signals();
  const std::string mode = argv[1];
  const std::chrono::seconds deadline(mode == "one_throws" ? 20 : 1);
  if (mode == "gpus") return orthant::use_gpus({});
  return orthant::run_ranks(
      Deadlines{.startup = std::chrono::seconds(20), .collective = deadline},
      [&](orthant::World world) { return orthant::end_as(mode, std::move(world), argv[2]); });
}
