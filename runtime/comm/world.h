// The ranks of this process: one (self), threads of a test, or an MPI job; and the process grid cut from
// them.
#pragma once

#include <functional>
#include <memory>

#include "runtime/comm/communicator.h"
#include "runtime/comm/control_group.h"
#include "runtime/comm/deadlines.h"

namespace orthant {

// What a rank needs to talk to the others. Moved into a job and owned by it.
struct World {
  std::unique_ptr<Communicator> data;     // all ranks
  std::unique_ptr<ControlGroup> control;  // all ranks
  int local_rank = 0;                     // rank among the ranks of this host
  int local_size = 1;
  [[nodiscard]] int rank() const { return data->rank(); }
  [[nodiscard]] int size() const { return data->size(); }
};

// A single rank without MPI.
[[nodiscard]] World make_self_world(Device device = kCpu);

// Runs `body` on `size` threads, each with its own World, which must not outlive the call. A rank that throws
// aborts the others' waits, so that the call always returns; then the exception of the lowest rank that
// failed by itself (not by another's failure) is rethrown.
void run_thread_ranks(int size, const std::function<void(World)>& body, Deadlines deadlines = {});

// The process's MPI session: initialises MPI (FUNNELED) at construction when the process was started by
// mpirun or srun, finalises at destruction. Without a launcher the world is self and MPI is not started. Main
// thread only; outlives every World and communicator made from it. Errors: kConfig when MPI cannot serve a
// threaded program, or when srun started several ranks without PMIx.
class MpiSession {
 public:
  explicit MpiSession(Deadlines deadlines = {});
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;
  [[nodiscard]] World world();  // Collective. Once.
  [[nodiscard]] bool started() const { return state_ != nullptr; }

  // Collective, before groups are split off. From now on `world.data` moves what lies on `device`, which is
  // of one kind on all ranks (device_choice.h): over NCCL where several ranks are GPUs, whose memory `reduce`
  // reduces where NCCL cannot. The control group stays MPI. Errors: kDevice (a build without NCCL, or CUDA
  // failed), kConfig (ranks do not fit each other), kPeer.
  void use_device(World& world, Device device, const ReduceOnDevice& reduce);

  // Collective. The end of every rank's work: agrees on the exit code of the job, that of the lowest rank
  // with a code other than 0, prints that rank's `message` (unless empty) on standard error and returns the
  // code. When a rank fails and the others do not come here within two seconds, it prints and ends the whole
  // job with its code.
  [[nodiscard]] int finish(int code, const std::string& message);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Collective. What a main function does after parsing: runs `body` with the session's world and finishes with
// the code it returns or, when it throws, the code and message of its Error (kInternal for any other
// exception).
[[nodiscard]] int run_ranks(MpiSession& session, const std::function<int(World)>& body);
// The same with a session of its own; when the session cannot be started, prints why and returns that code.
[[nodiscard]] int run_ranks(Deadlines deadlines, const std::function<int(World)>& body);

// Collective. Ranks of equal `color` become a world, in the order of their ranks; the places on the host stay
// those of `world`, whose ranks go on sharing it.
[[nodiscard]] World split_world(World& world, int color);

// data x dictionary = world. Rank = data_index * dictionary_size + dictionary_index.
struct Grid {
  std::unique_ptr<Communicator> dictionary;  // the ranks that hold one copy of the dictionary, one slice each
  std::unique_ptr<Communicator> data;        // the ranks that hold the same slice of different copies
};
struct MeshShape {
  int data = 0;        // 0: derived
  int dictionary = 0;  // 0: derived; both 0: dictionary = world
};
// Throws Error(kConfig) when data * dictionary is not the world size.
[[nodiscard]] MeshShape resolve_mesh(MeshShape asked, int world_size);
[[nodiscard]] Grid make_grid(Communicator& world, MeshShape mesh);  // Collective.

}  // namespace orthant
