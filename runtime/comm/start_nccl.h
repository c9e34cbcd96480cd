// How the ranks of a world find each other over NCCL, and what is refused before NCCL is asked.
//
// prepare_nccl_environment() came before. Main thread.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/comm/communicator_nccl.h"
#include "runtime/comm/control_group.h"

namespace orthant {

// ncclCommRegister came with it.
inline constexpr int kOldestNccl = 21900;

// "2.28.9" of 22809.
[[nodiscard]] std::string nccl_version_text(int version);

// What the bits of NCCL's sums may depend on, for run.json: its version and every setting, by name.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> nccl_facts(const NcclApi& api);

// What a rank finds where it runs.
struct NcclSeat {
  int version = 0;  // of its NCCL
  int gpus = 0;     // that it sees
  std::string host;
  bool launches_in_order = true;  // by its version and settings
};

// Throws Error(kConfig), naming the ranks, where an NCCL is too old or not that of rank 0, or where ranks see
// different numbers of GPUs or order their launches differently. That no two use the same one is the choice
// of devices' care.
void require_fitting_seats(std::span<const NcclSeat> seats);

// Collective. The world of `control` over NCCL: compares the seats and hands the id of rank 0 to all. What
// any rank refuses, all throw.
[[nodiscard]] std::unique_ptr<Communicator> start_nccl(const NcclRank& own, ControlGroup& control);

// Collective. The same where there is no control group, for tests on a host without MPI: rank 0 writes the id
// to `path`, which must not exist and is left there, and the others wait for it as long as `deadline`. Throws
// Error(kPeer) when it does not come.
[[nodiscard]] std::unique_ptr<Communicator> start_nccl_by_file(const NcclRank& own, const std::string& path,
                                                               int rank, int size,
                                                               std::chrono::milliseconds deadline);

}  // namespace orthant
