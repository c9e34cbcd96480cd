// The ranks of this process: one (self), threads of a test, or an MPI job; and the process grid cut from them.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "runtime/comm/communicator.h"
#include "runtime/comm/control_group.h"

namespace orthant {

// Seconds that a collective may take before the process ends with exit code 71 and a flight record.
struct Deadlines {
  std::chrono::seconds startup{300};
  std::chrono::seconds collective{120};
};

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
[[nodiscard]] World make_self_world();

// Runs `body` on `size` threads, each with its own World; the exception of the lowest rank is rethrown after all
// have ended. A rank that throws aborts the others' waits, so that the call always returns.
void run_thread_ranks(int size, const std::function<void(World)>& body, Deadlines deadlines = {});

// The process's MPI session: initialises MPI (FUNNELED) at construction when the process was started by mpirun or
// srun, finalises at destruction. Without a launcher the world is self and MPI is not started.
class MpiSession {
 public:
  explicit MpiSession(Deadlines deadlines = {});
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;
  [[nodiscard]] World world();  // Collective. Once.

 private:
  Deadlines deadlines_;
  bool started_ = false;
};

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
